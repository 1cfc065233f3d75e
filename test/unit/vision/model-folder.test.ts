import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bundledModel } from '../../../src/daemon.ts'
import { readManifest, readModelFolder } from '../../../src/vision/model-folder.ts'
import { copyOfBundledModel, editManifest } from '../../support/models.ts'

const digestOf = async (folder: string) =>
  createHash('sha256')
    .update(await readFile(join(folder, 'manifest.json')))
    .digest('hex')

describe('a model folder', () => {
  test('of which it is known what it has to be is taken when it is that', async () => {
    const folder = await readModelFolder(bundledModel, await digestOf(bundledModel))
    expect(folder.manifest.name).toBe('ssdlite-mobilenet-v2-coco')
  })

  test.each([readModelFolder, readManifest])('is refused by %o when its manifest is another one', async (read) => {
    const folder = await copyOfBundledModel()
    const expected = await digestOf(folder)
    // Harmless by itself, and all files are still those that it lists.
    await editManifest(folder, (manifest) => (manifest['threshold'] = 0.4))
    const found = await digestOf(folder)
    expect((await readModelFolder(folder)).manifest.threshold).toBe(0.4)
    await expect(read(folder, expected)).rejects.toThrow(
      expect.objectContaining({
        code: 'model_invalid',
        message: `${join(folder, 'manifest.json')}: sha256 is ${found}, has to be ${expected}`,
      }),
    )
  })

  test('with another manifest is refused before that is parsed', async () => {
    const folder = await copyOfBundledModel()
    await editManifest(folder, (manifest) => delete manifest['labels'])
    await expect(readManifest(folder, '0'.repeat(64))).rejects.toThrow(/has to be 0{64}$/)
  })
})
