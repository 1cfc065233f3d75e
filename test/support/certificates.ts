import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { tempFolder } from './temp-folder.ts'

const openssl = (...args: string[]) => promisify(execFile)('openssl', args)

/** A certificate authority of the test's own. */
export class Authority {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async create(): Promise<Authority> {
    const folder = await tempFolder()
    const [key, cert] = [join(folder, 'ca.key'), join(folder, 'ca.pem')]
    await openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=Test CA',
      '-keyout',
      key,
      '-out',
      cert,
    )
    return new Authority(folder)
  }

  get path(): string {
    return join(this.#folder, 'ca.pem')
  }

  read(): Promise<Buffer> {
    return readFile(this.path)
  }

  /** Issues a certificate; `altName` such as `IP:127.0.0.1`. One that ended yesterday with `isExpired`. */
  async issue(
    name: string,
    { altName = 'IP:127.0.0.1', isExpired = false } = {},
  ): Promise<{ key: string; cert: string }> {
    const at = (ending: string) => join(this.#folder, `${name}.${ending}`)
    await openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      at('key'),
      '-out',
      at('csr'),
    )
    await writeFile(at('ext'), `subjectAltName=${altName}\n`)
    await writeFile(join(this.#folder, 'index.txt'), '')
    await writeFile(join(this.#folder, 'serial'), '01\n')
    await writeFile(
      at('cnf'),
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${this.#folder}/index.txt\nserial=${this.#folder}/serial\nnew_certs_dir=${this.#folder}\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n`,
    )
    const dayMs = 24 * 3600 * 1000
    const stamp = (ms: number) =>
      `${new Date(ms)
        .toISOString()
        .replace(/[-:T]|\.\d+/g, '')
        .slice(0, 14)}Z`
    const now = Date.now()
    const [start, end] = isExpired ? [now - 2 * dayMs, now - dayMs] : [now - dayMs, now + dayMs]
    await openssl(
      'ca',
      '-batch',
      '-config',
      at('cnf'),
      '-cert',
      this.path,
      '-keyfile',
      join(this.#folder, 'ca.key'),
      '-startdate',
      stamp(start),
      '-enddate',
      stamp(end),
      '-in',
      at('csr'),
      '-out',
      at('pem'),
      '-notext',
      '-extfile',
      at('ext'),
    )
    return { key: at('key'), cert: at('pem') }
  }
}
