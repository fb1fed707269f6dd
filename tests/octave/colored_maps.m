function colored_maps (input_file, output_file)
  % The heat pictures of the maps of a cell, and the colour maps of several lengths.
  load (input_file);
  colored = cellfun (@heat_picture, maps, "UniformOutput", false);
  colormaps = arrayfun (@jet, lengths, "UniformOutput", false);
  save ("-v7", output_file, "colored", "colormaps");
endfunction
