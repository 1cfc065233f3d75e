import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { exitCodes, SightdError } from '../../core/errors.ts'
import { describeDiskError } from '../../lib/disk-error.ts'
import { fileServer } from '../../ota/file-server.ts'
import { readerOf, readRepository } from '../../ota/repository.ts'
import { explained, type OtaOptions, printJson } from './bench.ts'

export type ServeOptions = OtaOptions & { readonly address?: string; readonly port?: number }

/** `sightd ota serve`: the repository over HTTP until Ctrl-C. Whoever serves it needs no trust: all of it is signed. */
export async function serve(options: ServeOptions, signal: AbortSignal): Promise<number> {
  const { address = '127.0.0.1', port = 8000, json = false } = options
  const repo = resolve(options.repo ?? 'repository')
  return explained(async () => {
    if ((await readRepository(readerOf(repo))) === undefined)
      throw new SightdError('ota_failed', `${repo}: no repository there; sightd ota init makes one`)
    const server = fileServer(repo)
    server.listen(port, address)
    await once(server, 'listening').catch((error: unknown) => {
      throw new SightdError('ota_failed', `can't listen on ${address} port ${port}: ${describeDiskError(error)}`)
    })
    const url = urlOf(server.address())
    if (json) printJson({ repository: repo, url })
    else process.stdout.write(`${repo} at ${url}, until Ctrl-C\n`)
    if (!signal.aborted) await once(signal, 'abort')
    server.close()
    server.closeAllConnections()
    return exitCodes.ok
  })
}

function urlOf(address: AddressInfo | string | null): string {
  if (address === null || typeof address === 'string') return String(address)
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `http://${host}:${address.port}`
}
