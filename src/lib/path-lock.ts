import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { realpath } from 'node:fs/promises'
import { createServer } from 'node:net'

/**
 * Keeps other processes that ask for the same path, by whatever name, away until disposed; undefined when one is at it. An
 * abstract socket (unix(7)) goes with its process, however that ends: no stale lock, nothing on the disk.
 */
export async function lockPath(purpose: string, path: string): Promise<AsyncDisposable | undefined> {
  // Anyone may knock: nobody is let in, or the end would wait for them.
  const lock = createServer((socket) => socket.destroy())
  const real = await realpath(path).catch(() => path)
  const name = createHash('sha256').update(real).digest('hex').slice(0, 32)
  lock.listen(`\0sightd-${purpose}-${name}`)
  try {
    await once(lock, 'listening')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return undefined
    throw error
  }
  return {
    async [Symbol.asyncDispose]() {
      lock.close()
      await once(lock, 'close')
    },
  }
}
