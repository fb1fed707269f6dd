function all_steps (network_file, features_file, input_file, output_file)
  % From the two files of the cached demo and a picture to the figure, keeping every step.
  load (network_file);
  load (features_file);
  load (input_file);

  scores = reshape (scores, rows (categories), []);
  [val, idx] = sort (mean (scores, 2), "descend");
  val = val(1:top).';
  idx = idx(1:top).';
  names = categories(idx);

  cams = weighted_maps (activation_lastconv, weights_LR(:, idx));
  merged = zeros (rows (img), columns (img), top, "single");
  for class = 1:top
    enlarged = imresize (squeeze (cams(:, :, class, :)), [crop, crop]);
    merged(:, :, class) = merge_crops (enlarged, rows (img));
  endfor
  heat_top1 = heat_picture (merged(:, :, 1));
  figure_picture = composite_figure (img, merged);
  save ("-v7", output_file, "val", "idx", "names", "cams", "merged", "heat_top1", ...
        "figure_picture");
endfunction
