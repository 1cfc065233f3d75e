import { describe, expect, test } from 'vitest'
import { glyphHeight, glyphRows, glyphWidth } from '../../../src/cli/pixel-font.ts'

/** A glyph as one sees it. */
function drawn(character: string): string[] {
  return glyphRows(character).map((row) =>
    row.toString(2).padStart(glyphWidth, '0').replaceAll('0', '.').replaceAll('1', '#'),
  )
}

const written = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,-_'()/&:%+"]

describe('the pixel font', () => {
  test.each([
    ['F', ['#####', '#....', '#....', '####.', '#....', '#....', '#....']],
    ['7', ['#####', '....#', '...#.', '..#..', '.#...', '.#...', '.#...']],
    ['-', ['.....', '.....', '.....', '#####', '.....', '.....', '.....']],
    [' ', Array(7).fill('.....')],
  ])('draws %j', (character, rows) => {
    expect(drawn(character)).toEqual(rows)
  })

  test('has seven rows of five pixels for each character', () => {
    for (const character of written) {
      const rows = drawn(character)
      expect([character, rows.length, new Set(rows.map((row) => row.length))]).toEqual([
        character,
        glyphHeight,
        new Set([glyphWidth]),
      ])
    }
  })

  test('draws no two characters alike, and none blank', () => {
    expect(new Set([' ', ...written].map((character) => drawn(character).join())).size).toBe(written.length + 1)
  })

  test('draws small letters as capitals', () => {
    expect(glyphRows('q')).toEqual(glyphRows('Q'))
  })

  test.each(['€', 'ß', '猫', '🐈'])('draws %s, which it does not know, as a filled box', (character) => {
    expect(drawn(character)).toEqual(Array(7).fill('#####'))
  })
})
