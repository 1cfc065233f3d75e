import { describe, expect, test } from 'vitest'
import { SightdError } from '../../../src/core/errors.ts'
import { DirectoryTransport } from '../../../src/ota/directory-transport.ts'
import { describeUrl, quote } from '../../../src/ota/download-error.ts'
import { HttpTransport } from '../../../src/ota/http-transport.ts'
import { capped, nameParts } from '../../../src/ota/source-file.ts'
import { openTransport } from '../../../src/ota/transport.ts'

describe('nameParts', () => {
  test.each(['timestamp.json', '12.root.json', 'targets/ab12.model-v1_2+cpu.onnx'])('takes %s', (name) => {
    expect(nameParts(name).join('/')).toBe(name)
  })

  test.each(
    [
      ['', '.', '..', '../x', 'a/../x', '/x', 'a//b', 'a/', '.hidden', 'a\0b', 'a?b', 'a#b', '%2e%2e/x', 'a\\b', 'a b'],
      ['ä', 'x\n', '\u202etxt', 'C:x', 'http://x', 'a'.repeat(4096)],
    ].flat(),
  )('refuses %j', (name) => {
    expect(() => nameParts(name)).toThrow(expect.objectContaining({ reason: 'protocol' }))
  })
})

test('capped gives up to the limit and no chunk beyond', async () => {
  const taken: number[] = []
  async function* chunks() {
    for (;;) yield new Uint8Array(10)
  }
  const all = async () => {
    for await (const { length } of capped(chunks(), 25, 'here')) taken.push(length)
  }
  await expect(all()).rejects.toMatchObject({ reason: 'too_large', message: 'here: goes on after the 25 bytes due' })
  expect(taken).toEqual([10, 10])
})

describe('openTransport', () => {
  test('chooses by the look of it, and shows no login and no query', () => {
    expect(openTransport('/media/usb')).toBeInstanceOf(DirectoryTransport)
    const { where } = openTransport('https://me:secret@mirror.example/models?key=1')
    expect(where).toBe('https://mirror.example/models')
    expect(openTransport('HTTP://mirror.example')).toBeInstanceOf(HttpTransport)
  })

  test.each(['', 'models', './models', 'file:///etc', 'ftp://me:secret@mirror.example/?key=1', 'https://'])(
    'refuses %j',
    (source) => {
      expect(() => openTransport(source)).toThrow(SightdError)
      expect(() => openTransport(source)).not.toThrow(/secret|key/)
    },
  )
})

test('what strangers say comes as one short line', () => {
  expect(quote('a"b\n\x1b[31m\u202e')).toBe('"a\\"b\\n\\u001b[31m?"')
  expect(quote('x'.repeat(1000))).toHaveLength(81)
  expect(describeUrl(new URL('http://me:secret@[::1]:8080/a?b#c'))).toBe('http://[::1]:8080/a')
})
