/** Text from anywhere, made fit for a terminal. */

/** No name or reason of ours is longer. */
const maxLength = 200

/** Control, format (such as those that turn the direction), private and unassigned characters, and broken pairs. */
const unprintable = /\p{C}/gu

/** One line, of a bounded length, that does nothing to a terminal but show. */
export function printable(text: string): string {
  // Cut first, so that a long text costs no more than a short one.
  const start = text.slice(0, maxLength)
  const line = start.replaceAll(/\s+/g, ' ').replaceAll(unprintable, '?')
  return text.length > maxLength ? `${line}…` : line
}

/** Text of ours in which there may be names from anywhere, all of it, with its lines. */
export function printableLines(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n]/gu, '?')
}

/** JSON that does nothing to a terminal either, and still means the same. */
export function printableJson(json: string): string {
  return json.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  )
}

const wide =
  /[\u{1100}-\u{115f}\u{2e80}-\u{303e}\u{3041}-\u{a4cf}\u{a960}-\u{a97c}\u{ac00}-\u{d7a3}\u{f900}-\u{faff}\u{fe30}-\u{fe6f}\u{ff01}-\u{ff60}\u{ffe0}-\u{ffe6}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u
const widthless = /\p{M}/u

/** Columns that one character takes (Unicode Standard Annex 11, roughly: wide scripts and emoji take two). */
function characterWidth(character: string): number {
  if (widthless.test(character)) return 0
  return wide.test(character) ? 2 : 1
}

/** Columns that printable text takes on a terminal. */
export function textWidth(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length
  let width = 0
  for (const character of text) width += characterWidth(character)
  return width
}

/** At most so many columns of it, with `…` where something is left out. */
export function fitText(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text
  if (columns < 1) return ''
  let fitted = ''
  let width = 1
  for (const character of text) {
    width += characterWidth(character)
    if (width > columns) break
    fitted += character
  }
  return `${fitted}…`
}

/** Exactly so many columns of it. */
export function padText(text: string, columns: number, align: 'left' | 'right'): string {
  const fitted = fitText(text, columns)
  const space = ' '.repeat(Math.max(0, columns - textWidth(fitted)))
  return align === 'left' ? fitted + space : space + fitted
}

/** `0.4 s`, `12 s`, `5 min`, `2 h`, `4 d`. */
export function describeDuration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000
  if (seconds < 0.95) return `${seconds.toFixed(1)} s`
  if (seconds < 99.5) return `${Math.round(seconds)} s`
  const minutes = seconds / 60
  if (minutes < 99.5) return `${Math.round(minutes)} min`
  return minutes < 48 * 60 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} d`
}
