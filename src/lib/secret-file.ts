import { open } from 'node:fs/promises'
import { SightdError } from '../core/errors.ts'

const maxLineBytes = 4096
const maxBytes = 64 * 1024

/** Who may read a secret's file: its owner only, or, where systemd guards the folder, whoever systemd says. */
type SecretGuard = 'owner' | 'systemd'

/** The first line of a secret's file; throws a SightdError `config_invalid` that names the file. */
export async function readSecretFile(path: string): Promise<string> {
  return secretLine(await readSecretBytes(path), path)
}

/** The secret in a file's bytes; throws a SightdError `config_invalid` that names the file. */
export function secretLine(bytes: Buffer, path: string): string {
  const [line = ''] = bytes.toString('utf8').split(/\r?\n/)
  if (Buffer.byteLength(line) > maxLineBytes)
    throw new SightdError('config_invalid', `${path}: its first line is longer than ${maxLineBytes} bytes`)
  if (line === '') throw new SightdError('config_invalid', `${path}: the first line is empty, it should be the secret`)
  return line
}

/** All of a secret's file, at most 64 KiB; throws a SightdError `config_invalid` that names the file. */
export async function readSecretBytes(path: string, guard: SecretGuard = 'owner'): Promise<Buffer> {
  const { bytes, mode } = await readSmallFile(path)
  if (guard === 'owner' && (mode & 0o077) !== 0)
    throw new SightdError(
      'config_invalid',
      `${path}: others can read this secret (mode ${(mode & 0o777).toString(8)}); chmod 600 it`,
    )
  return bytes
}

/** A file's bytes and mode; throws a SightdError `config_invalid` that names it. */
export async function readSmallFile(path: string): Promise<{ bytes: Buffer; mode: number }> {
  await using file = await open(path).catch((error: unknown) => {
    throw new SightdError('config_invalid', `${path}: can't be read`, { cause: error })
  })
  const stats = await file.stat()
  if (!stats.isFile()) throw new SightdError('config_invalid', `${path}: not a file`)
  const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes + 1), 0, maxBytes + 1, 0)
  if (bytesRead > maxBytes) throw new SightdError('config_invalid', `${path}: longer than ${maxBytes} bytes`)
  return { bytes: buffer.subarray(0, bytesRead), mode: stats.mode }
}
