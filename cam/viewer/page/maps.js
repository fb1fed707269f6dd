/**
 * From raw class activation maps to overlays, with the library's numbers.
 *
 * Every step is one of docs/method.md and has its function in Python: `cam/explain/styles.py` says
 * which steps a style takes, `cam/maps` and `cam/matlab` what they compute. Sums are in double
 * precision and rounded to single (in a `Float32Array`) where the library rounds them, so that the
 * overlays are the library's, pixel for pixel.
 *
 * A plane is `{rows, columns, values}`, in the order of rows.
 */

const FLOAT16 = new Float32Array(65536);
const PICTURE_SHARE = 0.2;
const HEAT_SHARE = 0.7;
const LEVELS = 256;
/** OpenCV's DBL_EPSILON: a narrower range is not stretched. */
const EPSILON = 2 ** -52;

/** The bytes of a base64 text. */
export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function float16(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The numbers of a payload's maps, `{crops, classes, rows, columns, values}`. */
export function decodeMaps(maps) {
  const [crops, classes, rows, columns] = maps.shape;
  const data = bytesOf(maps.data);
  const view = new DataView(data.buffer);
  const count = crops * classes * rows * columns;
  const values = new Float32Array(count);
  if (maps.dtype === "float16") {
    if (!FLOAT16[1]) for (let bits = 0; bits < 65536; bits += 1) FLOAT16[bits] = float16(bits);
    for (let i = 0; i < count; i += 1) values[i] = FLOAT16[view.getUint16(2 * i, true)];
  } else {
    for (let i = 0; i < count; i += 1) values[i] = view.getFloat32(4 * i, true);
  }
  return { crops, classes, rows, columns, values };
}

/** The map of one crop and one class. */
export function planeOf(maps, crop, k) {
  const { rows, columns } = maps;
  const start = (crop * maps.classes + k) * rows * columns;
  return { rows, columns, values: maps.values.subarray(start, start + rows * columns) };
}

/** Which two values OpenCV's bilinear `resize` takes along one axis, and the second one's weight. */
function linearTaps(length, size) {
  const first = new Int32Array(size);
  const second = new Int32Array(size);
  const share = new Float64Array(size);
  const scale = length / size;
  for (let i = 0; i < size; i += 1) {
    const position = (i + 0.5) * scale - 0.5;
    const whole = Math.floor(position);
    const inside = whole >= 0 && whole < length - 1;
    first[i] = Math.min(Math.max(whole, 0), length - 1);
    second[i] = Math.min(first[i] + 1, length - 1);
    share[i] = inside ? position - whole : 0;
  }
  return { first, second, share };
}

/** `cv2.resize` with INTER_LINEAR, of doubles (OpenCV 4 rounds the weights to single precision). */
export function resizeLinear(plane, rows, columns) {
  const across = linearTaps(plane.columns, columns);
  const down = linearTaps(plane.rows, rows);
  const stretched = new Float64Array(plane.rows * columns);
  for (let y = 0; y < plane.rows; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      const share = across.share[x];
      stretched[y * columns + x] =
        plane.values[y * plane.columns + across.first[x]] * (1 - share) +
        plane.values[y * plane.columns + across.second[x]] * share;
    }
  }
  const values = new Float64Array(rows * columns);
  for (let y = 0; y < rows; y += 1) {
    const share = down.share[y];
    const other = 1 - share;
    const [above, below] = [down.first[y] * columns, down.second[y] * columns];
    for (let x = 0; x < columns; x += 1) {
      values[y * columns + x] = stretched[above + x] * other + stretched[below + x] * share;
    }
  }
  return { rows, columns, values };
}

/** Keys' cubic convolution kernel, a = -0.5. */
function cubic(distance) {
  const x = Math.abs(distance);
  if (x <= 1) return (1.5 * x - 2.5) * x ** 2 + 1;
  return x <= 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

function triangle(distance) {
  return Math.max(0, 1 - Math.abs(distance));
}

/** How each style enlarges a map: kernel, its width, and whether it smooths what becomes smaller. */
const KERNELS = {
  pycaffe: { weigh: triangle, width: 2, smooths: false },
  matlab: { weigh: cubic, width: 4, smooths: true },
};

/**
 * The values of an axis that are read at some positions, as MATLAB's `imresize` reads them.
 *
 * @param {number[]} positions - The middle of the first value is 1, of the last one `length`.
 * @param {number} scale - How far apart two neighbouring values come to lie.
 * @returns {Array} For each position its `[index, weight]` pairs; beyond the ends it is mirrored.
 */
function tapsAt(positions, length, scale, { weigh, width, smooths }) {
  const shrink = smooths ? Math.min(scale, 1) : 1;
  const count = Math.ceil(width / shrink) + 2;
  return positions.map((position) => {
    const first = Math.floor(position - width / shrink / 2);
    const taps = [];
    let sum = 0;
    for (let tap = first; tap < first + count; tap += 1) {
      const weight = weigh(shrink * (position - tap));
      const wrapped = (((tap - 1) % (2 * length)) + 2 * length) % (2 * length);
      sum += weight;
      if (weight) taps.push([Math.min(wrapped, 2 * length - 1 - wrapped), weight]);
    }
    return taps.map(([index, weight]) => [index, weight / sum]);
  });
}

const CUBIC_TAPS = new Map();

/** The values of an axis that MATLAB's `imresize`, bicubic, takes to make it of another length. */
function cubicTaps(length, size) {
  const key = `${length} ${size}`;
  if (!CUBIC_TAPS.has(key)) {
    const scale = size / length;
    const position = (_, i) => (i + 1) / scale + 0.5 * (1 - 1 / scale);
    const positions = Array.from({ length: size }, position);
    CUBIC_TAPS.set(key, tapsAt(positions, length, scale, KERNELS.matlab));
  }
  return CUBIC_TAPS.get(key);
}

function cubicRows({ rows, columns, values }, size) {
  const resized = new Float32Array(size * columns);
  cubicTaps(rows, size).forEach((taps, y) => {
    for (let x = 0; x < columns; x += 1) {
      let sum = 0;
      for (const [index, weight] of taps) sum += weight * values[index * columns + x];
      resized[y * columns + x] = sum;
    }
  });
  return { rows: size, columns, values: resized };
}

function transposed({ rows, columns, values }) {
  const turned = new Float32Array(values.length);
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1) turned[x * rows + y] = values[y * columns + x];
  }
  return { rows: columns, columns: rows, values: turned };
}

/** MATLAB's `imresize`, bicubic, of single precision; the axis with the smaller scale first. */
export function resizeCubic(plane, rows, columns) {
  const alongColumns = (of) => transposed(cubicRows(transposed(of), columns));
  return columns / plane.columns < rows / plane.rows
    ? cubicRows(alongColumns(plane), rows)
    : alongColumns(cubicRows(plane, rows));
}

/** Where the original's ten crops begin, in its order: `[row, column, mirrored]`. */
export function tenCropPositions(crop, frame) {
  const far = frame - crop;
  const center = Math.floor((far + 1) / 2);
  const places = [[0, 0], [far, 0], [0, far], [far, far], [center, center]];
  return [false, true].flatMap((mirrored) => places.map((place) => [...place, mirrored]));
}

/** `mergeTenCrop.m`: three times the sum of the crops' absolute values, in single precision. */
function mergeTenCrop(maps, k, crop, frame) {
  const values = new Float32Array(frame * frame);
  tenCropPositions(crop, frame).forEach(([row, column, mirrored], which) => {
    const large = resizeCubic(planeOf(maps, which, k), crop, crop).values;
    for (let y = 0; y < crop; y += 1) {
      const start = (row + y) * frame + column;
      for (let x = 0; x < crop; x += 1) {
        values[start + x] += Math.abs(large[y * crop + (mirrored ? crop - 1 - x : x)]);
      }
    }
  });
  for (let i = 0; i < values.length; i += 1) values[i] *= 3;
  return { rows: frame, columns: frame, values };
}

/** The smallest and the largest number, NaN left out; null if there is none. */
export function extremesOf(values) {
  let [lowest, highest] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
  }
  return lowest <= highest ? [lowest, highest] : null;
}

/** The center crop's map in its place, with the smallest value around it. */
function placeCrop({ rows: size, values }, frame) {
  const placed = new Float64Array(frame * frame).fill(extremesOf(values)?.[0] ?? NaN);
  const before = Math.floor((frame - size) / 2);
  for (let y = 0; y < size; y += 1) {
    const row = values.subarray(y * size, (y + 1) * size);
    placed.set(row, (before + y) * frame + before);
  }
  return { rows: frame, columns: frame, values: placed };
}

/** Half to even, as `numpy.rint`. */
function rint(value) {
  const whole = Math.floor(value);
  const rest = value - whole;
  if (rest === 0.5) return whole % 2 ? whole + 1 : whole;
  return rest < 0.5 ? whole : whole + 1;
}

/** `cv2.normalize` to [0, 1] by the extremes: the factor and what is added. */
function stretch(lowest, highest) {
  const scale = highest - lowest > EPSILON ? 1 / (highest - lowest) : 0;
  return [scale, 0 - lowest * scale];
}

/** The heat of each value in [0, 1], NaN where there is none. */
const NORMALIZE = {
  pycaffe(values) {
    const [scale, shift] = stretch(...(extremesOf(values) ?? [0, 0]));
    return (value) => value * scale + shift;
  },
  matlab(values) {
    const [lowest, highest] = extremesOf(values) ?? [0, 0];
    const slope = lowest === highest ? 1 : 1 / (highest - lowest);
    const shift = lowest === highest ? 0 : lowest * slope;
    return (value) => Math.min(Math.max(value * slope - shift, 0), 1);
  },
};

const ROUND = {
  pycaffe: (heat) => rint(heat * 255),
  matlab: (heat) => Math.floor(heat * 255 + 0.5),
};

/** The map of the whole picture before it is stretched, on the frame. */
export function mergedMap(payload, k) {
  const { crop_size: crop, frame_size: frame } = payload;
  const maps = payload.decoded;
  if (payload.style === "matlab") return mergeTenCrop(maps, k, crop, frame);
  const size = payload.placement === "crop" ? crop : frame;
  const large = resizeLinear(planeOf(maps, 0, k), size, size);
  return size === frame ? large : placeCrop(large, frame);
}

/** The pixels of an axis whose middle lies in a part of it: the first one, and their taps. */
function placedTaps(length, size, start, side, kernel) {
  const scale = (side * size) / length;
  const positions = [];
  let first = size;
  for (let i = 0; i < size; i += 1) {
    const middle = i + 0.5 - start * size;
    if (middle < 0 || middle >= side * size) continue;
    first = Math.min(first, i);
    positions.push(middle / scale + 0.5);
  }
  return { first, taps: tapsAt(positions, length, scale, kernel) };
}

/** Call `put(index, value)` for each pixel of a picture that a crop's map covers. */
function placeMap(plane, { top, left, side }, rows, columns, kernel, put) {
  const down = placedTaps(plane.rows, rows, top, side, kernel);
  const across = placedTaps(plane.columns, columns, left, side, kernel);
  const stretched = new Float64Array(plane.columns);
  down.taps.forEach((ofRow, y) => {
    for (let x = 0; x < plane.columns; x += 1) {
      let sum = 0;
      for (const [index, weight] of ofRow) sum += weight * plane.values[index * plane.columns + x];
      stretched[x] = sum;
    }
    const start = (down.first + y) * columns + across.first;
    across.taps.forEach((ofColumn, x) => {
      let sum = 0;
      for (const [index, weight] of ofColumn) sum += weight * stretched[index];
      put(start + x, sum);
    });
  });
}

function mirroredPlane({ rows, columns, values }) {
  const place = (_, i) => values[i - (i % columns) + columns - 1 - (i % columns)];
  return { rows, columns, values: values.map(place) };
}

/** The map of the whole picture at any size, from the raw maps at once; NaN where nothing is seen. */
export function pictureMap(payload, k, rows, columns) {
  const { style, decoded: maps, crop_size: crop, frame_size: frame } = payload;
  const kernel = KERNELS[style];
  if (style === "pycaffe") {
    const before = payload.placement === "crop" ? Math.floor((frame - crop) / 2) / frame : 0;
    const part = { top: before, left: before, side: before ? crop / frame : 1 };
    const values = new Float64Array(rows * columns).fill(NaN);
    placeMap(planeOf(maps, 0, k), part, rows, columns, kernel, (at, value) => {
      values[at] = value;
    });
    return { rows, columns, values };
  }
  const values = new Float32Array(rows * columns);
  tenCropPositions(crop, frame).forEach(([row, column, mirrored], which) => {
    const plane = planeOf(maps, which, k);
    const upright = mirrored ? mirroredPlane(plane) : plane;
    const part = { top: row / frame, left: column / frame, side: crop / frame };
    placeMap(upright, part, rows, columns, kernel, (at, value) => {
      values[at] += Math.abs(value);
    });
  });
  return { rows, columns, values: values.map((value) => 3 * value) };
}

/** Which of the 256 colours each pixel gets; what is not a number gets the first. */
export function levelsOf(style, plane) {
  const normalize = NORMALIZE[style](plane.values);
  const round = ROUND[style];
  const levels = new Uint8Array(plane.values.length);
  for (let i = 0; i < levels.length; i += 1) levels[i] = round(normalize(plane.values[i])) || 0;
  return levels;
}

/** What makes heat in [0, 1] of a map's values. */
export function heatScale(style, plane) {
  return NORMALIZE[style](plane.values);
}

function minMaxOfPicture(pixels) {
  let [lowest, highest] = [255, 0];
  for (let i = 0; i < pixels.length; i += 4) {
    for (let channel = 0; channel < 3; channel += 1) {
      const byte = pixels[i + channel];
      if (byte < lowest) lowest = byte;
      if (byte > highest) highest = byte;
    }
  }
  return [lowest, highest];
}

function extremesOfHeat(levels, colors) {
  const used = new Set(levels);
  const bytes = [...used].flatMap((level) => [...colors.subarray(3 * level, 3 * level + 3)]);
  return extremesOf(bytes);
}

/** What each byte becomes when a picture is stretched by its own extremes, as in the port. */
function stretchedBytes(lowest, highest) {
  const [scale, shift] = stretch(lowest, highest);
  return (byte) => Math.min(Math.max(byte, lowest), highest) * scale + shift;
}

/**
 * What each byte of the picture and each colour of the heat adds to an overlay, in [0, 1].
 *
 * Each style has its published shares, of pictures that the port stretches by their extremes;
 * MATLAB's jet has quarters of which bytes are only near. With `alpha` the two are mixed as they
 * are.
 */
function shares(style, pixels, levels, colors, alpha) {
  const ofByte = (byte) => byte / 255;
  const ofHeat = colors.isMatlabJet ? (byte) => Math.round((byte * 64) / 255) / 64 : ofByte;
  if (alpha !== null) {
    return [(byte) => (1 - alpha) * ofByte(byte), (byte) => alpha * ofHeat(byte)];
  }
  if (style === "matlab") {
    return [(byte) => PICTURE_SHARE * ofByte(byte), (byte) => HEAT_SHARE * ofHeat(byte)];
  }
  const picture = stretchedBytes(...minMaxOfPicture(pixels));
  const heat = stretchedBytes(...extremesOfHeat(levels, colors));
  return [(byte) => PICTURE_SHARE * picture(byte), (byte) => HEAT_SHARE * heat(byte)];
}

/**
 * Lay a heat map over a picture.
 *
 * @param {string} style - "pycaffe" or "matlab".
 * @param {Uint8ClampedArray} pixels - The picture, RGBA.
 * @param {Uint8Array} levels - The colour of each pixel.
 * @param {Uint8Array} colors - 256 times red, green, blue.
 * @param {?number} alpha - The heat's share from 0 to 1; null for the published 0.2 and 0.7.
 * @returns {Uint8ClampedArray} RGBA.
 */
export function overlay(style, pixels, levels, colors, alpha = null) {
  const [ofPicture, ofHeat] = shares(style, pixels, levels, colors, alpha);
  const picture = Float64Array.from({ length: LEVELS }, (_, byte) => ofPicture(byte));
  const heat = Float64Array.from(colors, ofHeat);
  const mixed = new Uint8ClampedArray(pixels.length);
  for (let i = 0; i < levels.length; i += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      const sum = heat[3 * levels[i] + channel] + picture[pixels[4 * i + channel]];
      mixed[4 * i + channel] = rint(sum * 255);
    }
    mixed[4 * i + 3] = 255;
  }
  return mixed;
}

/** The colour maps that the page was given, by name. */
export function colorTables(said) {
  return Object.fromEntries(
    Object.entries(said).map(([name, table]) => {
      const colors = bytesOf(table);
      colors.isMatlabJet = name === MATLAB_JET;
      return [name, colors];
    }),
  );
}

const MATLAB_JET = "matlab jet";

/** The colours that a style was published with. */
export const PUBLISHED_COLORS = { pycaffe: "jet", matlab: MATLAB_JET };
