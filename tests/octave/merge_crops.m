function merged = merge_crops (crops, frame)
  % The maps of ten crops of one class, placed where the crops were cut and summed.
  %   crops   width x height x 10, enlarged to the size of a crop
  %   merged  height x width, frame x frame, three times the sum of the absolute values
  side = size (crops, 1);
  margin = frame - side;
  middle = floor ((margin + 1) / 2);
  from_left = [0, 0, margin, margin, middle];
  from_top = [0, margin, 0, margin, middle];
  merged = zeros (frame, frame, "single");
  for crop = 1:10
    upright = abs (crops(:, :, crop)).';
    if (crop > 5)
      upright = fliplr (upright);
    endif
    place = mod (crop - 1, 5) + 1;
    rows = from_top(place) + (1:side);
    cols = from_left(place) + (1:side);
    merged(rows, cols) += upright;
  endfor
  merged *= 3;
endfunction
