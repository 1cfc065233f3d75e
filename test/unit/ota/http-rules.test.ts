import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  isPrivateAddress,
  lookupPublic,
  parseContentRange,
  redirectTarget,
  strongValidator,
} from '../../../src/ota/http-rules.ts'

describe('parseContentRange', () => {
  const size = fc.integer({ min: 0, max: 2 ** 40 })

  test('reads what a server writes, in any case', () => {
    fc.assert(
      fc.property(size, size, size, fc.boolean(), (first, more, rest, isUpper) => {
        const [last, total] = [first + more, first + more + rest + 1]
        const text = `bytes ${first}-${last}/${total}`
        expect(parseContentRange(isUpper ? text.toUpperCase() : text)).toEqual({ first, last, total })
      }),
    )
  })

  test('what it reads is a range inside the file, whatever the text', () => {
    const text = fc.stringMatching(/^(bytes)? ?-?\d{0,4}-?\d{0,4}(\/|-|,)(\d{0,4}|\*)$/)
    fc.assert(
      fc.property(fc.oneof(text, fc.string()), (value) => {
        const range = parseContentRange(value)
        if (range === undefined) return
        expect(range.first).toBeLessThanOrEqual(range.last)
        expect(range.last).toBeLessThan(range.total)
        expect(value.toLowerCase()).toBe(`bytes ${value.slice(6)}`)
      }),
    )
  })

  test.each([
    '',
    'bytes ',
    'bytes 5',
    '5-6/20',
    'bytes */20',
    'bytes 5-6/*',
    'bytes 5-6',
    'bytes -5-6/20',
    'bytes 6-5/20',
    'bytes 5-20/20',
    'bytes abc-def/deadbeef',
    'bytes 1000-20o0/5000',
    'bytes 100-200-300/400',
    'bytes 5-6/20, bytes 7-8/20',
    'bytes 5-6/20 7-8/20',
    'bytes 0x5-0x6/0x20',
    'bytes 5.0-6/20',
    'bytes 5-6/20\n',
    'bytes  5-6/20',
    'bytes=5-6/20',
    'octets 5-6/20',
    `bytes 5-6/${'9'.repeat(30)}`,
  ])('refuses %j', (value) => {
    expect(parseContentRange(value)).toBeUndefined()
  })
})

describe('strongValidator', () => {
  const changed = 'Sat, 01 Aug 2026 10:00:00 GMT'
  const later = 'Sat, 01 Aug 2026 10:00:01 GMT'

  test.each([
    [{ etag: '"a"' }, '"a"'],
    [{ etag: '""' }, '""'],
    [{ etag: 'W/"a"' }, undefined],
    [{ etag: 'a' }, undefined],
    [{ etag: '"a"b"' }, undefined],
    [{ etag: 'W/"a"', 'last-modified': changed, date: later }, undefined],
    [{ 'last-modified': changed, date: later }, changed],
    [{ 'last-modified': changed, date: changed }, undefined],
    [{ 'last-modified': changed }, undefined],
    [{ 'last-modified': '2026-08-01', date: later }, undefined],
    [{ 'last-modified': 'yesterday', date: later }, undefined],
    [{}, undefined],
  ])('of %j is %j', (headers, expected) => {
    expect(strongValidator(headers)).toBe(expected)
  })
})

describe('redirectTarget', () => {
  const mirror = new URL('https://me:secret@mirror.example/models')
  const go = (location: string | undefined, options = {}) =>
    redirectTarget(location, new URL('https://mirror.example/models/a?key=1'), {
      mirror,
      allowedHosts: ['cdn.example', 'cdn.example:8443', '10.0.0.1', '[::1]', '[fe80::1]', '[::ffff:127.0.0.1]'],
      isMirrorPrivate: false,
      hops: 0,
      ...options,
    }).href

  test('goes on at the same host with the login, and at an allowed one without', () => {
    expect(go('/b')).toBe('https://me:secret@mirror.example/b')
    expect(go('b?key=2')).toBe('https://me:secret@mirror.example/models/b?key=2')
    expect(go('https://cdn.example/b?key=2')).toBe('https://cdn.example/b?key=2')
    expect(go('//cdn.example:8443/b')).toBe('https://cdn.example:8443/b')
    expect(go('https://10.0.0.1/b', { isMirrorPrivate: true })).toBe('https://10.0.0.1/b')
  })

  test.each([
    ['nothing', undefined, /nowhere/],
    ['no URL', 'https://', /nowhere/],
    ['a file', 'file:///etc/passwd', /not on the web/],
    ['data', 'data:,x', /not on the web/],
    ['ftp', 'ftp://mirror.example/b', /not on the web/],
    ['plain http', 'http://mirror.example/b', /to plain http/],
    ['a login', 'https://a:b@cdn.example/', /with a login/],
    ['another host', 'https://evil.example/', /not allowed/],
    ['another port', 'https://mirror.example:8443/', /not allowed/],
    ['a host that begins alike', 'https://cdn.example.evil.example/', /not allowed/],
    ['a private IPv4 address', 'https://10.0.0.1/', /private network/],
    ['one written as a number', 'https://167772161/', /private network/],
    ['the loopback of IPv6', 'https://[::1]/', /private network/],
    ['a link-local address', 'https://[fe80::1]/', /private network/],
  ])('refuses %s, and shows no query of ours', (_, location, why) => {
    expect(() => go(location)).toThrow(why)
    expect(() => go(location)).toThrow(expect.objectContaining({ reason: 'redirect' }))
    expect(() => go(location)).not.toThrow(/key|secret/)
  })

  test('refuses the fourth', () => {
    expect(go('/b', { hops: 2 })).toContain('/b')
    expect(() => go('/b', { hops: 3 })).toThrow(/more than 3 times/)
  })
})

test.each([
  ['127.0.0.1', true],
  ['10.255.0.1', true],
  ['172.31.0.1', true],
  ['172.32.0.1', false],
  ['192.168.1.1', true],
  ['169.254.169.254', true],
  ['100.64.0.1', true],
  ['0.0.0.0', true],
  ['255.255.255.255', true],
  ['8.8.8.8', false],
  ['::1', true],
  ['::', true],
  ['fd00::1', true],
  ['fe80::1', true],
  ['ff02::1', true],
  ['192.0.0.8', true],
  ['192.0.1.1', false],
  ['198.18.0.1', true],
  ['198.19.255.255', true],
  ['198.20.0.1', false],
  ['64:ff9b::10.0.0.1', true],
  ['64:ff9b::7f00:1', true],
  ['64:ff9b::198.18.0.1', true],
  ['64:ff9b::8.8.8.8', false],
  ['64:ff9b:1::8.8.8.8', true],
  ['2002:a00:1::1', true],
  ['2002:808:808::1', true],
  ['2003::1', false],
  ['::ffff:127.0.0.1', true],
  ['::ffff:a00:1', true],
  ['2606:4700::1111', false],
  ['mirror.example', false],
])('isPrivateAddress(%s) is %s', (address, expected) => {
  expect(isPrivateAddress(address)).toBe(expected)
})

test.each([true, false])('lookupPublic refuses a name that leads to this machine (all: %s)', async (all) => {
  const error = await new Promise((resolve) => lookupPublic('localhost', { all }, resolve))
  expect(error).toMatchObject({ reason: 'redirect', message: expect.stringMatching(/^localhost is .*private network/) })
})
