import { Terminal } from '../../system/terminal.ts'

const barColumns = 24

/** What goes on, on the terminal's last line; nothing where there is no terminal. */
export class Progress implements Disposable {
  readonly #terminal = process.stderr.isTTY ? new Terminal(process.stderr) : undefined
  #shown = ''

  say(text: string): void {
    if (text === this.#shown) return
    this.#shown = text
    this.#terminal?.status(text)
  }

  bar(done: number, total: number, what: string): void {
    this.say(progressBar(done, total, what))
  }

  [Symbol.dispose](): void {
    this.#terminal?.[Symbol.dispose]()
  }
}

/** `[#######…       ]  42 %  3.1 of 5.3 MB  models/…`. */
export function progressBar(done: number, total: number, what: string): string {
  const share = total === 0 ? 1 : Math.min(1, done / total)
  const filled = Math.round(share * barColumns)
  const bar = '#'.repeat(filled) + '.'.repeat(barColumns - filled)
  const mb = (bytes: number) => (bytes / 1e6).toFixed(1)
  return `[${bar}] ${String(Math.floor(share * 100)).padStart(3)} %  ${mb(done)} of ${mb(total)} MB  ${what}`
}
