function cached_demo (folder, output_file)
  % The original's demo with online = 0: the files that it loads, under the names that it loads them
  % by, to the figure that it saves.
  img = imresize (imread (fullfile (folder, "img1.png")), [256, 256]);
  load (fullfile (folder, "data_net.mat"));
  load (fullfile (folder, "data_img1.mat"));

  top = 5;
  [val, idx] = sort (mean (scores, 2), "descend");
  names = categories(idx(1:top));
  cams = weighted_maps (activation_lastconv, weights_LR(:, idx(1:top)));
  for class = 1:top
    enlarged = imresize (squeeze (cams(:, :, class, :)), [224, 224]);
    merged(:, :, class) = merge_crops (enlarged, 256);
  endfor
  imwrite (composite_figure (img, merged), fullfile (folder, "result.png"));
  idx = idx(1:top);
  save ("-v7", output_file, "idx", "names");
endfunction
