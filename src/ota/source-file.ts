import { DownloadError, quote } from './download-error.ts'

const maxNameLength = 512

/**
 * The parts of a file's name in a repository, such as `targets/12.model.onnx`. Throws a DownloadError `protocol` for
 * anything that a path or a URL could take for more than a name: `..`, `/x`, `a//b`, `?`, `%2e`, NUL, hidden files.
 */
export function nameParts(name: string): string[] {
  const parts = name.split('/')
  const isFine = name.length <= maxNameLength && parts.every((part) => /^[A-Za-z0-9_][A-Za-z0-9._+-]*$/.test(part))
  if (!isFine) throw new DownloadError('protocol', `${quote(name)} is no name of a file in a repository`)
  return parts
}

/** The chunks, and a DownloadError `too_large` in place of the one that goes beyond `maxBytes`. */
export async function* capped(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
  where: string,
): AsyncGenerator<Uint8Array, void> {
  let bytes = 0
  for await (const chunk of chunks) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new DownloadError('too_large', `${where}: goes on after the ${maxBytes} bytes due`)
    yield chunk
  }
}

/** A small file's bytes. Throws a DownloadError `too_large`, and what the chunks throw. */
export async function collect(chunks: AsyncIterable<Uint8Array>, maxBytes: number, where: string): Promise<Uint8Array> {
  const taken: Uint8Array[] = []
  for await (const chunk of capped(chunks, maxBytes, where)) taken.push(chunk)
  return Buffer.concat(taken)
}
