import { lookup } from 'node:dns'
import type { IncomingHttpHeaders } from 'node:http'
import { BlockList, isIP, isIPv6, type LookupFunction } from 'node:net'
import { DownloadError, describeUrl, quote } from './download-error.ts'

/** What an answer's headers have to be like before a byte of its body counts; decides, and does nothing. */

type ContentRange = { readonly first: number; readonly last: number; readonly total: number }

/** RFC 9110 section 14.4, of which only a range in bytes with a known total is taken; undefined for all else. */
export function parseContentRange(value: string): ContentRange | undefined {
  const [, first, last, total] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/i.exec(value) ?? []
  const range = { first: Number(first), last: Number(last), total: Number(total) }
  return range.first <= range.last && range.last < range.total ? range : undefined
}

/**
 * What If-Range may carry (RFC 9110 section 13.1.5): a strong entity tag, or, where there is no tag at all, a date of
 * change that is at least a second older than the answer (section 8.8.2.2).
 */
export function strongValidator(headers: IncomingHttpHeaders): string | undefined {
  const { etag, 'last-modified': changed, date } = headers
  if (etag !== undefined) return /^"[\x21\x23-\x7e]*"$/.test(etag) ? etag : undefined
  const changedMs = Date.parse(changed ?? '')
  if (!(Date.parse(date ?? '') - changedMs >= 1000)) return undefined
  // We send it back as it is: so only in the one form that is to be sent (section 5.6.7).
  return new Date(changedMs).toUTCString() === changed ? changed : undefined
}

/** Throws a DownloadError `encoding` for a body that is not the file itself: inflating is how 48 kB become 50 MB. */
export function checkEncoding(headers: IncomingHttpHeaders, where: string): void {
  const { 'content-encoding': content = 'identity', 'transfer-encoding': transfer = 'chunked' } = headers
  const found = !/^(identity)?$/i.test(content) ? content : !/^chunked$/i.test(transfer) ? transfer : undefined
  if (found !== undefined)
    throw new DownloadError('encoding', `${where}: comes as ${quote(found)}, which we did not ask for`)
}

/** Throws a DownloadError for a whole file (status 200) of another length than `length`, as far as it says so. */
export function checkWhole(headers: IncomingHttpHeaders, length: number, where: string): void {
  const declared = contentLength(headers)
  if (declared === undefined || declared === length) return
  const reason = declared > length ? 'too_large' : 'protocol'
  throw new DownloadError(reason, `${where}: ${declared} bytes long there, has to be ${length}`)
}

/** Throws a DownloadError `protocol` for a part (status 206) that is not the rest from `fromByte` of what was asked. */
export function checkRest(
  headers: IncomingHttpHeaders,
  { length, fromByte, ifRange }: { length: number; fromByte: number; ifRange: string | undefined },
  where: string,
): void {
  const asked = `${where}: asked for bytes ${fromByte}-${length - 1} of ${length}`
  const found = headers['content-range'] ?? ''
  const range = parseContentRange(found)
  if (range?.first !== fromByte || range.last !== length - 1 || range.total !== length)
    throw new DownloadError('protocol', `${asked}, got Content-Range ${quote(found)}`)
  const declared = contentLength(headers)
  if (declared !== undefined && declared !== length - fromByte)
    throw new DownloadError('protocol', `${asked}, got Content-Length ${declared}`)
  // A server may leave out the date of change (section 15.3.7), but not the tag.
  const validator = ifRange?.startsWith('"') ? headers.etag : (headers['last-modified'] ?? ifRange)
  if (ifRange !== undefined && validator !== ifRange)
    throw new DownloadError('protocol', `${asked} of version ${quote(ifRange)}, got ${quote(validator ?? 'none')}`)
}

/** Undefined when there is none; Node's parser has refused what is no number, or more than one. */
function contentLength(headers: IncomingHttpHeaders): number | undefined {
  const value = headers['content-length']
  return value === undefined ? undefined : Number(value)
}

const maxHops = 3

/**
 * Where a redirect leads (RFC 9110 section 15.4), if we go there: at most three, never from https to http, never with a
 * login in it, and only to the mirror's own host or one of `allowedHosts` (`name` or `name:port`); to an address of a
 * private network only from a mirror that is in one. Throws a DownloadError `redirect`.
 */
export function redirectTarget(
  location: string | undefined,
  from: URL,
  {
    mirror,
    allowedHosts,
    isMirrorPrivate,
    hops,
  }: { mirror: URL; allowedHosts: readonly string[]; isMirrorPrivate: boolean; hops: number },
): URL {
  const refuse = (why: string) => new DownloadError('redirect', `${describeUrl(from)}: ${why}`)
  const to = location === undefined ? null : URL.parse(location, from.href)
  if (to === null) throw refuse('redirects to nowhere')
  if (hops >= maxHops) throw refuse(`redirects more than ${maxHops} times`)
  const target = `redirects to ${quote(describeUrl(to))}`
  if (to.protocol !== 'https:' && to.protocol !== 'http:') throw refuse(`${target}, which is not on the web`)
  if (from.protocol === 'https:' && to.protocol === 'http:') throw refuse(`${target}, from https to plain http`)
  if (to.username !== '' || to.password !== '') throw refuse(`${target}, with a login`)
  if (to.host !== mirror.host && !allowedHosts.includes(to.host)) throw refuse(`${target}, a host that is not allowed`)
  if (!isMirrorPrivate && isPrivateAddress(bare(to.hostname))) throw refuse(`${target}, in a private network`)
  if (to.host === mirror.host) {
    to.username = mirror.username
    to.password = mirror.password
  }
  return to
}

/** Without the brackets that a URL has around an IPv6 address. */
const bare = (hostname: string) => hostname.replace(/^\[(.*)\]$/, '$1')

const privateNetworks = new BlockList()
for (const [net, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  // RFC 6890: protocol assignments.
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  // RFC 2544: benchmarks.
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const) {
  privateNetworks.addSubnet(net, bits, 'ipv4')
  // RFC 6052: where there is only IPv6, a translator reaches an IPv4 address through the last 32 bits of this prefix.
  privateNetworks.addSubnet(`64:ff9b::${net}`, 96 + bits, 'ipv6')
}
for (const [net, bits] of [
  ['::', 127],
  // RFC 8215: translators within a site.
  ['64:ff9b:1::', 48],
  // RFC 3056: 6to4, any IPv4 address behind it; out of use since RFC 7526.
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 9],
  ['ff00::', 8],
] as const)
  privateNetworks.addSubnet(net, bits, 'ipv6')

/** True for an IP address that is not of the public internet (IANA's special-purpose registries); false for a name. */
export function isPrivateAddress(address: string): boolean {
  return isIP(address) !== 0 && privateNetworks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}

/** Like `dns.lookup`, but a name that leads into a private network is an error: a redirect may not look around there. */
export const lookupPublic: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    const hidden = addresses?.find(({ address }) => isPrivateAddress(address))
    const refusal = hidden && new DownloadError('redirect', `${hostname} is ${hidden.address}, in a private network`)
    const [first] = addresses ?? []
    if (error || refusal || first === undefined) callback(error ?? refusal ?? new Error('no address'), [])
    else if (options.all) callback(null, addresses)
    else callback(null, first.address, first.family)
  })
}
