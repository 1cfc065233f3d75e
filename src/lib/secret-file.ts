import { open } from 'node:fs/promises'
import { SightdError } from '../core/errors.ts'

const maxSecretBytes = 4096

/** The first line of a file that nobody but its owner may read; throws a SightdError `config_invalid` otherwise. */
export async function readSecretFile(path: string): Promise<string> {
  await using file = await open(path).catch((error: unknown) => {
    throw new SightdError('config_invalid', `${path}: can't be read`, { cause: error })
  })
  const { mode } = await file.stat()
  if ((mode & 0o077) !== 0)
    throw new SightdError(
      'config_invalid',
      `${path}: others can read this secret (mode ${(mode & 0o777).toString(8)}); chmod 600 it`,
    )
  const { buffer, bytesRead } = await file.read(Buffer.alloc(maxSecretBytes), 0, maxSecretBytes, 0)
  const [line = ''] = buffer.toString('utf8', 0, bytesRead).split(/\r?\n/)
  if (line === '') throw new SightdError('config_invalid', `${path}: the first line is empty, it should be the secret`)
  return line
}
