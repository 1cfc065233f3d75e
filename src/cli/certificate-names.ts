import { isIP } from 'node:net'
import { connect } from 'node:tls'

/** More would not help whoever reads them. */
const maxNames = 5

/**
 * The names (DNS and IP) that the certificate of a TLS server is for, trusted or not; none when it shows none within
 * `limitMs`. Nothing is sent but the handshake.
 */
export async function certificateNames(url: string, limitMs: number): Promise<string[]> {
  const { hostname, port, protocol } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const { promise, resolve } = Promise.withResolvers<string[]>()
  const socket = connect({
    host,
    port: Number(port) || (protocol === 'wss:' ? 443 : 8883),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    rejectUnauthorized: false,
  })
  socket.once('secureConnect', () => {
    const { subject, subjectaltname } = socket.getPeerCertificate()
    resolve(namesOf(subjectaltname, subject?.CN))
  })
  socket.on('error', () => resolve([]))
  socket.once('close', () => resolve([]))
  const timer = setTimeout(() => resolve([]), limitMs)
  const names = await promise
  clearTimeout(timer)
  socket.destroy()
  return names
}

/** `DNS:a.lan, IP Address:10.0.0.1`, as Node writes them; the common name counts only where there is no list. */
export function namesOf(altNames: string | undefined, commonName: string | string[] | undefined): string[] {
  const listed = [...(altNames ?? '').matchAll(/(?:DNS|IP Address):([^,\s"]+)/g)].map(([, name = '']) => name)
  const common = altNames === undefined && commonName !== undefined ? [commonName].flat() : []
  return [...listed, ...common].slice(0, maxNames)
}
