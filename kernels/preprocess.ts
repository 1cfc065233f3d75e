/**
 * One row of a model's input tensor out of an I420 frame, in one pass: bilinear resize, full-range BT.601 to RGB, the model's
 * own scaling. AssemblyScript: `npm run kernels` compiles it to WebAssembly SIMD, of which V8 makes SSE or NEON.
 * src/vision/preprocess.ts lays out its memory. test/support/plain-preprocess.ts is the same in plain TypeScript, to the bit.
 *
 * Two rows are blended first: their 16-bit sums are exact, and then two neighbours are one load. WebAssembly has no gather.
 */

// What the frame's geometry and the model's input decide; imported once by each instance. `...At` are addresses.

/** Bytes from one luma row to the next; chroma rows are half as far apart. */
declare const stride: i32
/** The samples of a row that are needed: of luma, and of each chroma plane. */
declare const lumaFirst: i32
declare const lumaCount: i32
declare const chromaFirst: i32
declare const chromaCount: i32
/** Blended rows: a 16-bit sum for each luma sample, and a pair of them (U, V) for each chroma sample. */
declare const lumaAt: i32
declare const chromaAt: i32
/**
 * For each four columns 80 bytes: where their left neighbours lie in the blended rows (four u32 byte offsets for luma, four for
 * chroma), then the weights of left and right neighbours (i16 pairs: four for luma, eight for chroma, U and V alike).
 */
declare const tapsAt: i32
/** The tensor's columns that are not letterbox bars. */
declare const columns: i32
declare const isBgr: i32
declare const isPlanar: i32
/** The row as levels 0..255: pixels of three channels, or, planar, channels that are `plane` elements apart. */
declare const levelsAt: i32
declare const plane: i32
/** For each channel what the 256 levels become, and where the row goes that is made so; bytes of an element, 0: levels will do. */
declare const tablesAt: i32
declare const valuesAt: i32
declare const valueBytes: i32

/**
 * Makes a row out of the luma row at `luma` and the one below it, and the chroma rows at `u` and `v` and those below. The weights
 * (0..256) are of the rows below. It reads up to 15 bytes past the end of sources, and writes as far past levels and blended rows.
 */
export function makeRow(luma: usize, lumaWeight: i32, u: usize, v: usize, chromaWeight: i32): void {
  blendLuma(luma + lumaFirst, lumaWeight)
  blendChroma(u + chromaFirst, v + chromaFirst, chromaWeight)
  toLevels()
  if (valueBytes !== 0) lookUp()
}

function blendLuma(row: usize, weight: i32): void {
  const above = i16x8.splat(<i16>(256 - weight))
  const below = i16x8.splat(<i16>weight)
  for (let i = 0; i < lumaCount; i += 16) {
    const a = v128.load(row + i)
    const b = v128.load(row + i + stride)
    const to = lumaAt + i * 2
    v128.store(to, blendLow(a, b, above, below))
    v128.store(to, blendHigh(a, b, above, below), 16)
  }
}

function blendChroma(uRow: usize, vRow: usize, weight: i32): void {
  const above = i16x8.splat(<i16>(256 - weight))
  const below = i16x8.splat(<i16>weight)
  const nextRow = stride >> 1
  for (let i = 0; i < chromaCount; i += 16) {
    const u0 = v128.load(uRow + i)
    const u1 = v128.load(uRow + i + nextRow)
    const v0 = v128.load(vRow + i)
    const v1 = v128.load(vRow + i + nextRow)
    const to = chromaAt + i * 4
    const uLow = blendLow(u0, u1, above, below)
    const vLow = blendLow(v0, v1, above, below)
    v128.store(to, i16x8.shuffle(uLow, vLow, 0, 8, 1, 9, 2, 10, 3, 11))
    v128.store(to, i16x8.shuffle(uLow, vLow, 4, 12, 5, 13, 6, 14, 7, 15), 16)
    const uHigh = blendHigh(u0, u1, above, below)
    const vHigh = blendHigh(v0, v1, above, below)
    v128.store(to, i16x8.shuffle(uHigh, vHigh, 0, 8, 1, 9, 2, 10, 3, 11), 32)
    v128.store(to, i16x8.shuffle(uHigh, vHigh, 4, 12, 5, 13, 6, 14, 7, 15), 48)
  }
}

// A sum is a sample (less 128) times 256: with this bias it fits a signed 16-bit lane, as the dot product below wants it.
function blendLow(a: v128, b: v128, above: v128, below: v128): v128 {
  return biased(i16x8.mul(i16x8.extend_low_i8x16_u(a), above), i16x8.mul(i16x8.extend_low_i8x16_u(b), below))
}

function blendHigh(a: v128, b: v128, above: v128, below: v128): v128 {
  return biased(i16x8.mul(i16x8.extend_high_i8x16_u(a), above), i16x8.mul(i16x8.extend_high_i8x16_u(b), below))
}

function biased(a: v128, b: v128): v128 {
  return v128.xor(i16x8.add(a, b), i16x8.splat(-32768))
}

/** Four pixels a turn: the neighbours in the blended rows, then colour with 14 fractional bits. */
function toLevels(): void {
  const half = i32x4.splat(2048)
  // What luma has lost by its bias, and a half to round with.
  const base = i32x4.splat((2048 << 14) + (1 << 17))
  const forRed = i16x8(0, 22970, 0, 22970, 0, 22970, 0, 22970)
  const forGreen = i16x8(-5638, -11700, -5638, -11700, -5638, -11700, -5638, -11700)
  const forBlue = i16x8(29032, 0, 29032, 0, 29032, 0, 29032, 0)
  const forFirst = isBgr ? forBlue : forRed
  const forLast = isBgr ? forRed : forBlue
  let to: usize = levelsAt
  let taps: usize = tapsAt
  for (let i = 0; i < columns; i += 4) {
    let pairs = v128.load32_zero(lumaAt + load<u32>(taps))
    pairs = v128.load32_lane(lumaAt + load<u32>(taps, 4), pairs, 1)
    pairs = v128.load32_lane(lumaAt + load<u32>(taps, 8), pairs, 2)
    pairs = v128.load32_lane(lumaAt + load<u32>(taps, 12), pairs, 3)
    const y = i32x4.shr_s(i32x4.add(i32x4.dot_i16x8_s(pairs, v128.load(taps, 32)), half), 12)
    const uv = i16x8.narrow_i32x4_s(
      chromaOfTwo(load<u32>(taps, 16), load<u32>(taps, 20), v128.load(taps, 48)),
      chromaOfTwo(load<u32>(taps, 24), load<u32>(taps, 28), v128.load(taps, 64)),
    )
    const luma = i32x4.add(i32x4.shl(y, 14), base)
    const first = i32x4.shr_s(i32x4.add(luma, i32x4.dot_i16x8_s(uv, forFirst)), 18)
    const green = i32x4.shr_s(i32x4.add(luma, i32x4.dot_i16x8_s(uv, forGreen)), 18)
    const last = i32x4.shr_s(i32x4.add(luma, i32x4.dot_i16x8_s(uv, forLast)), 18)
    // Narrowing clamps to 0..255.
    const levels = i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(first, green), i16x8.narrow_i32x4_s(last, last))
    if (isPlanar) {
      v128.store32_lane(to, levels, 0)
      v128.store32_lane(to + plane, levels, 1)
      v128.store32_lane(to + plane * 2, levels, 2)
      to += 4
    } else {
      // The last four bytes are overwritten by the next turn.
      v128.store(to, i8x16.shuffle(levels, levels, 0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11, 12, 13, 14, 15))
      to += 12
    }
    taps += 80
  }
}

/** U and V of two pixels, less 128, with 4 fractional bits. */
function chromaOfTwo(left: u32, right: u32, weights: v128): v128 {
  const pairs = v128.load64_lane(chromaAt + right, v128.load64_zero(chromaAt + left), 1)
  const byPlane = i16x8.shuffle(pairs, pairs, 0, 2, 1, 3, 4, 6, 5, 7)
  return i32x4.shr_s(i32x4.add(i32x4.dot_i16x8_s(byPlane, weights), i32x4.splat(2048)), 12)
}

function lookUp(): void {
  const step = isPlanar ? 1 : 3
  for (let channel = 0; channel < 3; channel++) {
    const table: usize = tablesAt + channel * 256 * valueBytes
    const first = isPlanar ? channel * plane : channel
    const end = first + columns * step
    if (valueBytes === 4) {
      for (let i = first; i < end; i += step)
        store<u32>(valuesAt + i * 4, load<u32>(table + <usize>load<u8>(levelsAt + i) * 4))
    } else {
      for (let i = first; i < end; i += step) store<u8>(valuesAt + i, load<u8>(table + load<u8>(levelsAt + i)))
    }
  }
}
