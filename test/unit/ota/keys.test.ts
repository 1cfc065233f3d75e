import { createHash, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { isKeyId, isSignatureForm, keyFault, keyIdOf, keyMaterial } from '../../../src/ota/keys.ts'
import { ecdsaSigner, ed25519Signer, signerOf, TufDevice, TufRepository } from '../../support/tuf-repository.ts'

const ed25519 = (hex: string) => ({ keytype: 'ed25519', scheme: 'ed25519', keyval: { public: hex } })

/** Points whose order divides 8, with the forms that are not canonical: libsodium's `ge25519_has_small_order`, and sign bits. */
const smallOrder = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0000000000000000000000000000000000000000000000000000000000000080',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000080',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
]
const identity = smallOrder[2] ?? ''

/** RFC 8032, 7.1, test 2. */
const rfc = {
  key: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
  message: '72',
  sig: '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
}

const groupOrder = 2n ** 252n + 27742317777372353535851937790883648493n
const scalar = (hex: string) => BigInt(`0x${Buffer.from(hex, 'hex').reverse().toString('hex')}`)
const hexOf = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse().toString('hex')

/** The device's verdict on a repository whose timestamp has this signature by this key. */
async function verdictOn(signer: ReturnType<typeof signerOf>): Promise<string> {
  const repository = new TufRepository()
  repository.rotateRoot(() => repository.setRole('timestamp', [signer]))
  repository.publish()
  return TufDevice.of(repository).refresh()
}

describe('Ed25519 keys', () => {
  test.each(smallOrder)('row 10: %s is of small order: refused', (hex) => {
    expect(keyFault(ed25519(hex))).toMatch(/small order|not canonical/)
  })

  /** y is of order dividing 8 when the point times 8 is the identity; x by its square: (y²-1)/(dy²+1). */
  test('row 10: all of the small orders are on the list, and they are what they are said to be', () => {
    const p = 2n ** 255n - 19n
    const power = (base: bigint, exponent: bigint): bigint => {
      let [result, square] = [1n, base % p]
      for (let left = exponent; left > 0n; left >>= 1n, square = (square * square) % p)
        if (left & 1n) result = (result * square) % p
      return result
    }
    const inverse = (value: bigint) => power(((value % p) + p) % p, p - 2n)
    const d = (-121665n * inverse(121666n)) % p
    // Doubling depends on y and x² alone: y' = (y² + x²) / (2 + x² - y²), for a = -1.
    const doubled = (y: bigint) => {
      const xx = ((y * y - 1n) * inverse(d * y * y + 1n)) % p
      return ((((y * y + xx) * inverse(2n + xx - y * y)) % p) + p) % p
    }
    const ys = new Set(smallOrder.map((hex) => (scalar(hex) & (2n ** 255n - 1n)) % p))
    expect(ys.size).toBe(5)
    for (const y of ys) expect(doubled(doubled(doubled(y)))).toBe(1n)
  })

  /** R the identity and S = 0 fit any message under the identity (notes/ota.md 5); OpenSSL 3.0 takes that. */
  test('row 10: what the identity "signed" is refused with the root that names it', async () => {
    const forged = `${identity}${'00'.repeat(32)}`
    expect(await verdictOn(signerOf('ed25519', 'ed25519', identity, () => forged))).toBe('malformed')
  })

  test.each([
    ['upper case', rfc.key.toUpperCase()],
    ['too short', rfc.key.slice(2)],
    ['too long', `${rfc.key}00`],
    ['odd', rfc.key.slice(1)],
    ['with a line feed', `${rfc.key}\n`],
    ['with 0x', `0x${rfc.key.slice(2)}`],
    ['not hexadecimal', `zz${rfc.key.slice(2)}`],
    ['as PEM', ed25519PemOf(rfc.key)],
    ['empty', ''],
  ])('%s: refused', (_, hex) => {
    expect(keyFault(ed25519(hex))).toBeDefined()
  })

  test('a good one is taken', () => {
    expect(keyFault(ed25519(rfc.key))).toBeUndefined()
    expect(keyMaterial(ed25519(rfc.key))).toBe(`ed25519 ${rfc.key}`)
  })

  function ed25519PemOf(hex: string): string {
    const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(hex, 'hex')])
    return createPublicKey({ key: der, format: 'der', type: 'spki' }).export({ format: 'pem', type: 'spki' }).toString()
  }
})

describe('Ed25519 signatures', () => {
  const key = ed25519(rfc.key)
  const r = rfc.sig.slice(0, 64)
  const s = scalar(rfc.sig.slice(64))

  test('the signature of RFC 8032 is taken', () => {
    expect(isSignatureForm(key, rfc.sig)).toBe(true)
  })

  /** As in Wycheproof's ed25519_test.json, "checking malleability": S + L is the same number modulo L. */
  test.each([1n, 2n, 3n, 4n, 8n, 15n])('row 10: S + %d L: refused', (times) => {
    expect(isSignatureForm(key, `${r}${hexOf(s + times * groupOrder)}`)).toBe(false)
  })

  test('row 10: S at its bound', () => {
    expect(isSignatureForm(key, `${r}${hexOf(groupOrder)}`)).toBe(false)
    expect(isSignatureForm(key, `${r}${hexOf(groupOrder - 1n)}`)).toBe(true)
    expect(isSignatureForm(key, `${r}${'ff'.repeat(32)}`)).toBe(false)
  })

  test.each([
    ['row 10: empty', ''],
    ['row 10: R alone', r],
    ['row 10: a byte less', rfc.sig.slice(0, -2)],
    ['row 10: a byte more', `${rfc.sig}00`],
    ['row 10: twice', `${rfc.sig}${rfc.sig}`],
    ['row 11: upper case', rfc.sig.toUpperCase()],
    ['row 11: one digit in upper case', rfc.sig.replace('a', 'A')],
    ['row 11: odd', rfc.sig.slice(0, -1)],
    ['row 11: garbage behind', `${rfc.sig}zz`],
    ['row 11: garbage inside', `${rfc.sig.slice(0, 126)}zz`],
    ['row 11: a line feed behind', `${rfc.sig}\n`],
    ['row 11: blanks', ` ${rfc.sig}`],
    ['row 11: base64', Buffer.from(rfc.sig, 'hex').toString('base64')],
  ])('%s: refused', (_, sig) => {
    expect(isSignatureForm(key, sig)).toBe(false)
  })

  test.each([
    ['upper case', (sig: string) => sig.toUpperCase()],
    ['garbage behind', (sig: string) => `${sig}zz`],
    ['an odd digit behind', (sig: string) => `${sig}0`],
    ['a byte behind', (sig: string) => `${sig}00`],
  ])('row 11: metadata signed with %s: refused', async (_, spoil) => {
    for (const signer of [ed25519Signer('timestamp'), ecdsaSigner()])
      expect(await verdictOn({ ...signer, sign: (bytes) => spoil(signer.sign(bytes)) })).toBe('unsigned')
  })
})

describe('ECDSA keys', () => {
  test('sign metadata', async () => {
    expect(await verdictOn(ecdsaSigner())).toBe('fresh')
    expect(await TufDevice.of(new TufRepository(ecdsaSigner)).refresh()).toBe('fresh')
  })

  test.each([
    ['another curve', 'ecdsa', 'ecdsa-sha2-nistp384'],
    ['another type', 'rsa', 'ecdsa-sha2-nistp256'],
    ['another scheme', 'ecdsa', 'ed25519'],
  ])('%s: counts for nothing', async (_, keytype, scheme) => {
    const { key, sign } = ecdsaSigner()
    const pem = String(Object.values(key['keyval'] ?? {})[0])
    expect(keyMaterial({ keytype, scheme, keyval: { public: pem } })).toBeUndefined()
    expect(await verdictOn(signerOf(keytype, scheme, pem, sign))).toBe('unsigned')
  })

  test('as hexadecimal digits, which the library would take: counts for nothing', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    const point = publicKey.export({ format: 'der', type: 'spki' }).subarray(26).toString('hex')
    const signer = signerOf('ecdsa', 'ecdsa-sha2-nistp256', point, (bytes) =>
      sign('sha256', bytes, privateKey).toString('hex'),
    )
    expect(await verdictOn(signer)).toBe('unsigned')
  })

  test.each(['-----BEGIN PUBLIC KEY-----\nnothing', '04abcd', '', ed25519Signer('a').id])(
    '%j: counts for nothing',
    (pem) => {
      expect(keyMaterial({ keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', keyval: { public: pem } })).toBeUndefined()
    },
  )

  test('two texts of one key are one key', () => {
    const pem = String(Object.values(ecdsaSigner().key['keyval'] ?? {})[0])
    const key = { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', keyval: { public: pem } }
    const spaced = { ...key, keyval: { public: pem.replaceAll('\n', '\r\n') } }
    expect(keyIdOf(spaced)).not.toBe(keyIdOf(key))
    expect(keyMaterial(spaced)).toBe(keyMaterial(key))
  })
})

describe('the id of a key', () => {
  const plain = ed25519(rfc.key)
  const id = 'eaf1e23f6c823132f437a2eaa299a7950f7386631deff273db195bbd26209e2b'

  /** Made with securesystemslib 1.4.0: `SSlibKey.from_crypto` of the key of RFC 8032, test 2. */
  test('is what other implementations compute', () => {
    expect(keyIdOf(plain)).toBe(id)
  })

  test('may be that of all its fields, or of those that the specification knows', () => {
    const owned = { ...plain, owner: { 'na"me': 'ü\\', tags: [1, true, null] } }
    const whole = createHash('sha256').update(
      `{"keytype":"ed25519","keyval":{"public":"${rfc.key}"},"owner":{"na\\"me":"ü\\\\","tags":[1,true,null]},"scheme":"ed25519"}`,
    )
    expect(isKeyId(whole.digest('hex'), owned)).toBe(true)
    expect(isKeyId(id, owned)).toBe(true)
    expect(isKeyId(id, { ...owned, keyval: { public: identity } })).toBe(false)
    expect(isKeyId(keyIdOf(ed25519(identity)), owned)).toBe(false)
  })
})
