import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { describeDuration, fitText, padText, printable, printableJson, textWidth } from '../../../src/cli/text.ts'

/** Any UTF-16 at all, broken pairs too. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.array(fc.nat(0xffff), { maxLength: 300 }).map((units) => String.fromCharCode(...units)),
)

describe('printable', () => {
  test.each([
    ['a\x1b[2Jb\x07\x9b31m\x7f', 'a?[2Jb??31m?'],
    ['two\r\nlines\tand  spaces', 'two lines and spaces'],
    ['\u202eabc\u200b\u2066', '?abc??'],
    ['broken \ud83d pair', 'broken ? pair'],
    ['庭 🌳 é', '庭 🌳 é'],
    ['x'.repeat(500), `${'x'.repeat(200)}…`],
  ])('%j', (text, shown) => {
    expect(printable(text)).toBe(shown)
  })

  test('never lets anything through that a terminal obeys, and is never long', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const shown = printable(text)
        expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u)
        expect(shown.length).toBeLessThanOrEqual(201)
      }),
    )
  })
})

test('printableJson means the same and holds nothing that a terminal obeys', () => {
  fc.assert(
    fc.property(fc.dictionary(anyText, anyText), (value) => {
      const json = printableJson(JSON.stringify(value))
      expect(json).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
      expect(JSON.parse(json)).toEqual(value)
    }),
  )
})

describe('textWidth', () => {
  test.each([
    ['abc', 3],
    ['°C é', 4],
    ['e\u0301', 1],
    ['庭', 2],
    ['ＡＢ', 4],
    ['한글', 4],
    ['🌳', 2],
    ['…─└×', 4],
  ])('%s takes %i columns', (text, columns) => {
    expect(textWidth(text)).toBe(columns)
  })
})

describe('fitText and padText', () => {
  test.each([
    ['person', 6, 'person'],
    ['person', 5, 'pers…'],
    ['person', 1, '…'],
    ['person', 0, ''],
    ['庭庭庭', 5, '庭庭…'],
    ['庭庭庭', 4, '庭…'],
  ])('%s in %i columns is %s', (text, columns, fitted) => {
    expect(fitText(text, columns)).toBe(fitted)
  })

  test('are never wider than they may be, and padText is as wide as it must be', () => {
    fc.assert(
      fc.property(anyText.map(printable), fc.nat(120), fc.constantFrom('left', 'right'), (text, columns, align) => {
        expect(textWidth(fitText(text, columns))).toBeLessThanOrEqual(columns)
        expect(textWidth(padText(text, columns, align))).toBe(columns)
      }),
    )
    expect(padText('9.8', 5, 'right')).toBe('  9.8')
    expect(padText('9.8', 5, 'left')).toBe('9.8  ')
  })
})

test.each([
  [-5, '0.0 s'],
  [420, '0.4 s'],
  [949, '0.9 s'],
  [951, '1 s'],
  [12_400, '12 s'],
  [99_499, '99 s'],
  [99_501, '2 min'],
  [99 * 60_000, '99 min'],
  [100 * 60_000, '2 h'],
  [47 * 3_600_000, '47 h'],
  [48 * 3_600_000, '2 d'],
])('%i ms are %s', (ms, words) => {
  expect(describeDuration(ms)).toBe(words)
})
