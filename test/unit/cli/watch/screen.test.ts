import { EventEmitter } from 'node:events'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { WatchScreen } from '../../../../src/cli/watch/screen.ts'
import type { Line } from '../../../../src/cli/watch/table.ts'

/** A terminal that knows the other screen, the cursor, home and erasing, and no other control; it cuts long lines. */
class FakeTerminal extends EventEmitter {
  columns: number | undefined = 20
  rows: number | undefined = 5
  readonly usual: string[] = ['$ sightd watch']
  other: string[] = []
  isOther = false
  hasCursor = true
  writes = 0
  #row = 0

  write(text: string): boolean {
    this.writes++
    const plain = text.replaceAll('\u001b', '␛').replaceAll(/␛\[\d*m/g, '')
    for (const [token] of plain.matchAll(/␛\[[?]?\d*[A-Za-z]|\r\n|\n|[^␛\r\n]+/g)) this.#obey(token)
    return true
  }

  #obey(token: string): void {
    const screen = this.isOther ? this.other : this.usual
    if (token === '␛[?1049h' || token === '␛[?1049l') {
      this.isOther = token.endsWith('h')
      this.other = []
    } else if (token === '␛[?25h' || token === '␛[?25l') this.hasCursor = token.endsWith('h')
    else if (token === '␛[H') this.#row = 0
    else if (token === '␛[K') screen[this.#row] = (screen[this.#row] ?? '').split('|end|', 1)[0] ?? ''
    else if (token === '␛[J') screen.length = this.#row + 1
    else if (token === '\r\n' && this.isOther) this.#row++
    else if (token.startsWith('␛')) expect(['␛[?7l', '␛[?7h', '␛[?2026h', '␛[?2026l']).toContain(token)
    else if (this.isOther) {
      const before = screen[this.#row] ?? ''
      screen[this.#row] = `${token}|end|${before.slice(token.length)}`
    } else if (token !== '\n') screen.push(token)
  }
}

function open() {
  const terminal = new FakeTerminal()
  const screen = new WatchScreen(terminal)
  let isOver = false
  const close = () => {
    if (!isOver) screen[Symbol.dispose]()
    isOver = true
  }
  onTestFinished(close)
  return { terminal, screen, close }
}

const lines = (...texts: string[]): Line[] => texts.map((text) => ({ text, tone: 'plain' }))

describe('WatchScreen', () => {
  test('draws over what was there, and leaves nothing of it', () => {
    const { terminal, screen } = open()
    screen.draw(lines('three devices', 'porch', 'garage'))
    expect(terminal.other).toEqual(['three devices', 'porch', 'garage'])
    screen.draw(lines('one', 'hall'))
    expect(terminal.other).toEqual(['one', 'hall'])
    expect(terminal).toMatchObject({ isOther: true, hasCursor: false })
  })

  test('writes a picture at once, and nothing while it stays the same', () => {
    const { terminal, screen } = open()
    const before = terminal.writes
    screen.draw(lines('a', 'b'))
    screen.draw(lines('a', 'b'))
    expect(terminal.writes).toBe(before + 1)
  })

  test('gives the terminal back, with the last picture below', () => {
    const { terminal, screen, close } = open()
    screen.draw(lines('one device', 'porch'))
    close()
    expect(terminal).toMatchObject({
      isOther: false,
      hasCursor: true,
      usual: ['$ sightd watch', 'one device', 'porch'],
    })
    expect(terminal.listenerCount('resize')).toBe(0)
  })

  test('draws the same again when the size has changed, for nobody knows what that left', () => {
    const { terminal, screen } = open()
    screen.draw(lines('a'))
    terminal.other = ['garbled']
    terminal.emit('resize')
    screen.draw(lines('a'))
    expect(terminal.other).toEqual(['a'])
  })

  test('leaves the last column free, and takes 80 by 24 where the size is unknown', () => {
    const { terminal, screen } = open()
    expect([screen.width, screen.height]).toEqual([19, 5])
    Object.assign(terminal, { columns: 0, rows: undefined })
    expect([screen.width, screen.height]).toEqual([79, 24])
  })

  test('gives the terminal back while it sleeps after Ctrl-Z', () => {
    const kill = vi.spyOn(process, 'kill').mockImplementation(() => true)
    onTestFinished(() => kill.mockRestore())
    const { terminal, screen, close } = open()
    screen.draw(lines('a'))
    process.emit('SIGTSTP')
    expect(kill).toHaveBeenCalledExactlyOnceWith(process.pid, 'SIGSTOP')
    expect(terminal).toMatchObject({ isOther: false, hasCursor: true })
    process.emit('SIGCONT')
    screen.draw(lines('a'))
    expect(terminal).toMatchObject({ isOther: true, hasCursor: false, other: ['a'] })
    close()
    expect([process.listenerCount('SIGTSTP'), process.listenerCount('SIGCONT')]).toEqual([0, 0])
  })
})
