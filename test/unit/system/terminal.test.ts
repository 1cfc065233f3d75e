import { describe, expect, test } from 'vitest'
import { Terminal } from '../../../src/system/terminal.ts'

/** A screen that knows line feed, carriage return and "erase to the end of the line", and no other control. */
class Screen {
  readonly rows = ['']
  readonly columns: number | undefined
  #column = 0

  constructor(columns?: number) {
    this.columns = columns
  }

  write(text: string): boolean {
    for (const character of text.replaceAll('\u001b[K', eraseLine)) {
      const row = this.rows.pop() ?? ''
      const before = row.slice(0, this.#column)
      if (character === '\n') this.rows.push(row, '')
      else if (character === '\r') this.rows.push(row)
      else if (character === eraseLine) this.rows.push(before)
      else this.rows.push(before + character + row.slice(this.#column + 1))
      if (character === '\n' || character === '\r') this.#column = 0
      else if (character !== eraseLine) this.#column++
    }
    return true
  }
}

const eraseLine = '␛'

describe('Terminal', () => {
  test('keeps one status line below the lines that scroll by', () => {
    const screen = new Screen()
    const terminal = new Terminal(screen)
    terminal.line('first')
    terminal.status('10 fps')
    terminal.line('second')
    expect(screen.rows).toEqual(['first', 'second', '10 fps'])
  })

  test('leaves nothing of a longer status or line behind', () => {
    const screen = new Screen()
    const terminal = new Terminal(screen)
    terminal.status('a long status')
    terminal.status('short')
    expect(screen.rows).toEqual(['short'])
    terminal.line('x')
    expect(screen.rows).toEqual(['x', 'short'])
  })

  test.each([
    ['one less than a row has columns', 20, 19],
    ['79 characters where the width is unknown', undefined, 79],
  ])('cuts the status to %s', (_, columns, length) => {
    const screen = new Screen(columns)
    new Terminal(screen).status('x'.repeat(200))
    expect(screen.rows).toEqual(['x'.repeat(length)])
  })

  test('ends with the cursor on a line of its own', () => {
    const screen = new Screen()
    {
      using terminal = new Terminal(screen)
      terminal.line('last')
      terminal.status('10 fps')
    }
    screen.write('$ ')
    expect(screen.rows).toEqual(['last', '$ '])
  })
})
