function resized_pictures (input_file, output_file)
  % The pictures of a cell, each resized with the arguments of another.
  load (input_file);
  resized = cell (size (pictures));
  for k = 1:numel (pictures)
    resized{k} = imresize (pictures{k}, sizes{k}, methods{k}, "Antialiasing", smooth(k));
  endfor
  save ("-v7", output_file, "resized");
endfunction
