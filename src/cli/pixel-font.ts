/**
 * A 5x7 pixel font for labels on pictures: boards often have no fonts installed, and then SVG text is silently blank.
 * Each glyph is seven rows of five bits, written as two hex digits each, leftmost pixel in the highest bit.
 */
export const glyphWidth = 5
export const glyphHeight = 7

/** The rows of a character; letters are drawn as capitals, what has no glyph as a filled box. */
export function glyphRows(character: string): number[] {
  const hex = glyphs[character.toUpperCase()] ?? '1f1f1f1f1f1f1f'
  return Array.from({ length: glyphHeight }, (_, row) => Number.parseInt(hex.slice(row * 2, row * 2 + 2), 16))
}

const glyphs: Readonly<Record<string, string>> = {
  ' ': '00000000000000',
  A: '0e11111f111111',
  B: '1e11111e11111e',
  C: '0e11101010110e',
  D: '1e11111111111e',
  E: '1f10101e10101f',
  F: '1f10101e101010',
  G: '0e11101713110f',
  H: '1111111f111111',
  I: '0e04040404040e',
  J: '0702020202120c',
  K: '11121418141211',
  L: '1010101010101f',
  M: '111b1515111111',
  N: '11191915131311',
  O: '0e11111111110e',
  P: '1e11111e101010',
  Q: '0e11111115120d',
  R: '1e11111e141211',
  S: '0f10100e01011e',
  T: '1f040404040404',
  U: '1111111111110e',
  V: '11111111110a04',
  W: '1111111515150a',
  X: '11110a040a1111',
  Y: '11110a04040404',
  Z: '1f01020408101f',
  '0': '0e11131519110e',
  '1': '040c040404040e',
  '2': '0e11010204081f',
  '3': '1f02040201110e',
  '4': '02060a121f0202',
  '5': '1f101e0101110e',
  '6': '0608101e11110e',
  '7': '1f010204080808',
  '8': '0e11110e11110e',
  '9': '0e11110f01020c',
  '.': '00000000000c0c',
  ',': '000000000c0408',
  '-': '0000001f000000',
  _: '0000000000001f',
  "'": '0c040800000000',
  '(': '02040808080402',
  ')': '08040202020408',
  '/': '00010204081000',
  '&': '0c12140815120d',
  ':': '000c0c000c0c00',
  '%': '18190204081303',
  '+': '0004041f040400',
}
