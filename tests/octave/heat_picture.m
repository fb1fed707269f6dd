function picture = heat_picture (heat_map)
  % A map in the 256 colours of jet, stretched from its minimum to its maximum.
  heat_map = double (heat_map);
  levels = gray2ind (mat2gray (heat_map), 256);
  levels(isnan (heat_map)) = 0;
  picture = ind2rgb (levels, jet (256));
endfunction
