function maps = weighted_maps (activation, weights)
  % Class activation maps of a batch of crops, as one matrix product.
  %   activation  width x height x channels x crops
  %   weights     channels x classes
  %   maps        width x height x classes x crops
  [width, height, channels, crops] = size (activation);
  pixels = reshape (permute (activation, [1 2 4 3]), width * height * crops, channels);
  maps = reshape (pixels * weights, width, height, crops, columns (weights));
  maps = permute (maps, [1 2 4 3]);
endfunction
