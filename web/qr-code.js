"use strict";

/**
 * The modules of the QR code of a short text (ISO/IEC 18004: bytes, level M, versions 1 to 10, mask 0), as rows of booleans;
 * null for more than 213 bytes. Any mask may be used; the standard's choice of the best one is left out.
 */
function qrCode(text) {
  const TOTAL = [26, 44, 70, 100, 134, 172, 196, 242, 292, 346]; // codewords, by version
  const BLOCKS = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5];
  const CHECKS = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26]; // codewords a block
  const CENTRES = [[], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50]];

  const bytes = new TextEncoder().encode(text);
  const room = (v) => TOTAL[v] - BLOCKS[v] * CHECKS[v];
  const index = TOTAL.findIndex((_, v) => bytes.length + (v < 9 ? 2 : 3) <= room(v));
  if (index < 0) return null;

  // Mode 4 (bytes), the length, the bytes, an end, padding: everything is shifted by the four bits of the mode.
  const halves = [4, ...(index < 9 ? [] : [0, 0]), bytes.length >> 4, bytes.length & 15];
  for (const byte of bytes) halves.push(byte >> 4, byte & 15);
  halves.push(0);
  const data = Array.from({ length: halves.length / 2 }, (_, i) => (halves[2 * i] << 4) | halves[2 * i + 1]);
  for (let pad = 0xec; data.length < room(index); pad ^= 0xec ^ 0x11) data.push(pad);

  // The shorter blocks come first; then the codewords are interleaved.
  const count = BLOCKS[index];
  const short = Math.floor(room(index) / count);
  const longer = room(index) % count;
  const blocks = [];
  for (let block = 0, at = 0; block < count; block++) {
    const length = short + (block >= count - longer ? 1 : 0);
    blocks.push(data.slice(at, (at += length)));
  }
  const checks = blocks.map((block) => remainder(block, CHECKS[index]));
  const codewords = [];
  for (let i = 0; i <= short; i++) for (const block of blocks) if (i < block.length) codewords.push(block[i]);
  for (let i = 0; i < CHECKS[index]; i++) for (const check of checks) codewords.push(check[i]);

  const size = 21 + 4 * index;
  const modules = Array.from({ length: size }, () => Array(size).fill(null)); // null: free for data
  const set = (x, y, isDark) => {
    if (x >= 0 && y >= 0 && x < size && y < size) modules[y][x] = isDark;
  };
  const square = (cx, cy, radius, light) => {
    for (let dy = -radius; dy <= radius; dy++)
      for (let dx = -radius; dx <= radius; dx++) set(cx + dx, cy + dy, !light.includes(Math.max(Math.abs(dx), Math.abs(dy))));
  };
  for (let i = 0; i < size; i++) {
    set(6, i, i % 2 === 0);
    set(i, 6, i % 2 === 0);
  }
  const last = CENTRES[index].at(-1);
  for (const x of CENTRES[index])
    for (const y of CENTRES[index]) if (!((x === 6 && (y === 6 || y === last)) || (x === last && y === 6))) square(x, y, 2, [1]);
  for (const [x, y] of [
    [3, 3],
    [size - 4, 3],
    [3, size - 4],
  ])
    square(x, y, 4, [2, 4]);

  // Level M is 00, mask 0 is 000: the format's bits are the constant alone.
  const format = 0x5412;
  for (let i = 0; i < 15; i++) {
    const isDark = ((format >> i) & 1) === 1;
    set(8, i < 6 ? i : i < 8 ? i + 1 : size - 15 + i, isDark);
    set(i < 8 ? size - 1 - i : i < 9 ? 7 : 14 - i, 8, isDark);
  }
  set(8, size - 8, true);
  if (index >= 6) {
    let version = index + 1;
    for (let i = 0; i < 12; i++) version = (version << 1) ^ ((version >> 11) * 0x1f25);
    version |= (index + 1) << 12;
    for (let i = 0; i < 18; i++) {
      const isDark = ((version >> i) & 1) === 1;
      set(size - 11 + (i % 3), Math.floor(i / 3), isDark);
      set(Math.floor(i / 3), size - 11 + (i % 3), isDark);
    }
  }

  // Two columns at a time from the right, up and down in turn, past the vertical timing line.
  let bit = 0;
  for (let right = size - 1; right > 0; right -= 2) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++) {
      const y = (right + 1) & 2 ? step : size - 1 - step;
      for (const x of [right, right - 1]) {
        if (modules[y][x] !== null) continue;
        const isSet = ((codewords[bit >> 3] >> (7 - (bit & 7))) & 1) === 1;
        modules[y][x] = isSet !== ((x + y) % 2 === 0);
        bit++;
      }
    }
  }
  return modules;
}

// Reed-Solomon's check codewords over GF(2^8), modulo x^8 + x^4 + x^3 + x^2 + 1.
function remainder(data, degree) {
  const times = (a, b) => {
    let product = 0;
    for (let i = 7; i >= 0; i--) product = (product << 1) ^ ((product >> 7) * 0x11d) ^ (((b >> i) & 1) * a);
    return product;
  };
  let divisor = [1];
  for (let i = 0, root = 1; i < degree; i++, root = times(root, 2))
    divisor = [...divisor, 0].map((value, j) => value ^ (j > 0 ? times(divisor[j - 1], root) : 0));
  const rest = Array(degree).fill(0);
  for (const value of data) {
    const factor = value ^ rest.shift();
    rest.push(0);
    for (let i = 0; i < degree; i++) rest[i] ^= times(divisor[i + 1], factor);
  }
  return rest;
}
