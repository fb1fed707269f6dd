function figure_picture = composite_figure (picture, heat_maps)
  % The picture and its heat maps side by side, eight white columns between.
  %   picture    height x width x 3, uint8
  %   heat_maps  height x width x classes
  picture = im2double (picture);
  gap = ones (rows (picture), 8, 3);
  figure_picture = picture;
  for class = 1:size (heat_maps, 3)
    blend = 0.2 * picture + 0.7 * heat_picture (heat_maps(:, :, class));
    figure_picture = [figure_picture, gap, blend];
  endfor
endfunction
