import { isIP } from 'node:net'
import { connect, type PeerCertificate } from 'node:tls'

/** More names would not help whoever reads them. */
const maxNames = 5

/** When the certificate ends that a TLS server shows, trusted or not; null when none is shown within `limitMs`. */
export async function certificateEndMs(url: string, limitMs: number): Promise<number | null> {
  return Date.parse((await shownCertificate(url, limitMs))?.valid_to ?? '') || null
}

/** The names (DNS and IP) that it is for; none when none is shown within `limitMs`. */
export async function certificateNames(url: string, limitMs: number): Promise<string[]> {
  const shown = await shownCertificate(url, limitMs)
  return namesOf(shown?.subjectaltname, shown?.subject?.CN)
}

/** Nothing is sent but the handshake. */
async function shownCertificate(url: string, limitMs: number): Promise<PeerCertificate | undefined> {
  const { hostname, port, protocol } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const { promise, resolve } = Promise.withResolvers<PeerCertificate | undefined>()
  const socket = connect({
    host,
    port: Number(port) || (protocol === 'wss:' ? 443 : 8883),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    rejectUnauthorized: false,
  })
  socket.once('secureConnect', () => resolve(socket.getPeerCertificate()))
  socket.on('error', () => resolve(undefined))
  socket.once('close', () => resolve(undefined))
  const timer = setTimeout(() => resolve(undefined), limitMs)
  const shown = await promise
  clearTimeout(timer)
  socket.destroy()
  return shown
}

/** `DNS:a.lan, IP Address:10.0.0.1`, as Node writes them; the common name counts only where there is no list. */
export function namesOf(altNames: string | undefined, commonName: string | string[] | undefined): string[] {
  const listed = [...(altNames ?? '').matchAll(/(?:DNS|IP Address):([^,\s"]+)/g)].map(([, name = '']) => name)
  const common = altNames === undefined && commonName !== undefined ? [commonName].flat() : []
  return [...listed, ...common].slice(0, maxNames)
}
