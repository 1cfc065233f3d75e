import { open } from 'node:fs/promises'
import { SightdError } from '../core/errors.ts'

const maxSecretBytes = 4096

/** The first line of a file that nobody but its owner may read; throws a SightdError `config_invalid` otherwise. */
export async function readSecretFile(path: string): Promise<string> {
  await using file = await open(path).catch((error: unknown) => {
    throw new SightdError('config_invalid', `${path}: can't be read`, { cause: error })
  })
  const stats = await file.stat()
  const { mode } = stats
  if (!stats.isFile()) throw new SightdError('config_invalid', `${path}: not a file`)
  if ((mode & 0o077) !== 0)
    throw new SightdError(
      'config_invalid',
      `${path}: others can read this secret (mode ${(mode & 0o777).toString(8)}); chmod 600 it`,
    )
  const { buffer, bytesRead } = await file.read(Buffer.alloc(maxSecretBytes + 1), 0, maxSecretBytes + 1, 0)
  const [line = ''] = buffer.toString('utf8', 0, bytesRead).split(/\r?\n/)
  if (Buffer.byteLength(line) > maxSecretBytes)
    throw new SightdError('config_invalid', `${path}: its first line is longer than ${maxSecretBytes} bytes`)
  if (line === '') throw new SightdError('config_invalid', `${path}: the first line is empty, it should be the secret`)
  return line
}
