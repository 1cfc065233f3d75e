import { styleText } from 'node:util'
import type { Line } from './table.ts'

/** What is used of a terminal's stream. */
type Stream = {
  readonly columns?: number | undefined
  readonly rows?: number | undefined
  write(text: string): unknown
  on(event: 'resize', listener: () => void): unknown
  off(event: 'resize', listener: () => void): unknown
}

/** The other screen of a terminal (xterm), without cursor, on which long lines are cut at the edge. */
const enter = '\x1b[?1049h\x1b[?25l\x1b[?7l'
const leave = '\x1b[?7h\x1b[?25h\x1b[?1049l'

/** What stands between these is shown at once, by terminals that know how (mode 2026); others ignore it. */
const [beginUpdate, endUpdate] = ['\x1b[?2026h', '\x1b[?2026l']
const home = '\x1b[H'
const eraseLine = '\x1b[K'
const eraseBelow = '\x1b[J'

const styles = { plain: [], head: ['bold'], warn: ['yellow'], bad: ['red'], faint: ['dim'] } as const

/** A terminal that is drawn anew in place. Disposing gives it back as it was, with the last lines below. */
export class WatchScreen {
  readonly #stream: Stream
  #lines: readonly Line[] = []
  #shown = ''

  constructor(stream: Stream) {
    this.#stream = stream
    stream.write(enter)
    stream.on('resize', this.#forget)
    process.on('SIGTSTP', this.#pause)
    process.on('SIGCONT', this.#resume)
  }

  /** One column stays free: a character in the last one would be erased with the rest of the line. */
  get width(): number {
    return (this.#stream.columns || 80) - 1
  }

  get height(): number {
    return this.#stream.rows || 24
  }

  /** Writes over what is there, in one go, so that nothing flickers. */
  draw(lines: readonly Line[]): void {
    const frame = lines.map((line) => `${paint(line)}${eraseLine}`).join('\r\n')
    if (frame === this.#shown) return
    this.#lines = lines
    this.#shown = frame
    this.#stream.write(`${beginUpdate}${home}${frame}${eraseBelow}${endUpdate}`)
  }

  [Symbol.dispose](): void {
    this.#stream.off('resize', this.#forget)
    process.off('SIGTSTP', this.#pause)
    process.off('SIGCONT', this.#resume)
    this.#stream.write(`${leave}${this.#lines.map((line) => `${paint(line)}\n`).join('')}`)
  }

  readonly #forget = () => {
    this.#shown = ''
  }

  /** Ctrl-Z: the shell gets its screen back while we sleep. */
  readonly #pause = () => {
    this.#stream.write(leave)
    process.kill(process.pid, 'SIGSTOP')
  }

  readonly #resume = () => {
    this.#stream.write(enter)
    this.#forget()
  }
}

/** styleText() leaves colours away where NO_COLOR says so. */
function paint({ text, tone }: Line): string {
  return styleText([...styles[tone]], text)
}
