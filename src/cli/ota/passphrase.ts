import { SightdError } from '../../core/errors.ts'
import { readSecretFile } from '../../lib/secret-file.ts'
import { readHiddenLine } from '../hidden-line.ts'

/** Where the keys' passphrase comes from: a file, the environment, or whoever sits at the terminal. */
export class Passphrases {
  readonly #file: string | undefined
  readonly #signal: AbortSignal
  /** Those that were typed: keys often share one. */
  readonly #typed: string[] = []

  constructor(file: string | undefined, signal: AbortSignal) {
    this.#file = file
    this.#signal = signal
  }

  /** For a key that exists; asked again while it doesn't fit. */
  readonly forKey = async (path: string, isRetry: boolean): Promise<string | undefined> => {
    const given = await this.#given()
    if (given !== undefined) return isRetry ? undefined : given
    const tried = this.#triedOf.get(path) ?? 0
    this.#triedOf.set(path, tried + 1)
    const known = this.#typed[tried]
    if (known !== undefined) return known
    if (tried >= this.#typed.length + 3) return undefined
    const typed = await this.#ask(`passphrase of ${path}: `)
    this.#typed.push(typed)
    return typed
  }
  readonly #triedOf = new Map<string, number>()

  /** For keys that are about to be made. */
  async forNewKeys(names: readonly string[]): Promise<string> {
    const given = await this.#given()
    if (given !== undefined) return given
    const typed = await this.#ask(`passphrase for the new ${names.length === 1 ? 'key' : 'keys'} ${names.join(', ')}: `)
    if ((await this.#ask('once more: ')) !== typed) throw new SightdError('ota_failed', 'the two passphrases differ')
    this.#typed.push(typed)
    return typed
  }

  async #given(): Promise<string | undefined> {
    if (this.#file !== undefined) return readSecretFile(this.#file)
    return process.env['SIGHTD_OTA_PASSPHRASE'] || undefined
  }

  async #ask(prompt: string): Promise<string> {
    if (!process.stdin.isTTY || !process.stderr.isTTY)
      throw new SightdError(
        'ota_failed',
        'a key needs its passphrase: without a terminal, give --passphrase-file or SIGHTD_OTA_PASSPHRASE',
      )
    const line = await readHiddenLine(prompt, this.#signal)
    if (line === undefined) throw new SightdError('ota_failed', 'stopped, no passphrase was typed')
    return line
  }
}
