import { execFileSync, spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ModelSlots } from '../../src/ota/model-slots.ts'
import { ModelStore } from '../../src/ota/model-store.ts'
import { RecordFiles } from '../../src/ota/update-record.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { shelve, tinyModel } from '../support/tiny-model.ts'

/** A small file system of its own. */
async function smallDisk(): Promise<string> {
  const folder = await tempFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,nr_inodes=40', 'tmpfs', folder])
  onTestFinished(() => {
    execFileSync('umount', ['-l', folder])
  })
  return folder
}

const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0

function fill(disk: string): void {
  execFileSync('mkdir', [join(disk, 'filler')])
  const script = `dd if=/dev/zero of=${disk}/filler/0 bs=4k; i=1; while : > ${disk}/filler/$i; do i=$((i+1)); done`
  expect(spawnSync('sh', ['-c', script], { stdio: 'ignore' }).status).not.toBe(null)
}

describe.skipIf(!canMount)(
  'the record of updates on a disk that takes nothing (skipped where tmpfs can not be mounted)',
  () => {
    test('row 49: full: it is written all the same, and found again', async () => {
      const disk = await smallDisk()
      const { files } = await RecordFiles.open(disk)
      fill(disk)
      await expect(writeFile(join(disk, 'proof'), 'x')).rejects.toMatchObject({ code: 'ENOSPC' })
      for (let i = 0; i < 5; i++) await files.write(({ floor }) => ({ floor: floor + 1 }))
      expect((await RecordFiles.open(disk)).files.record).toEqual(files.record)
      expect(files.record).toMatchObject({ floor: 5, seq: 5 })
    })

    test('row 49: full, and the model in charge has lost the links to its files: it is not given up', async () => {
      const disk = await smallDisk()
      const folder = join(disk, 'ota')
      const { files } = await RecordFiles.open(folder)
      const { rollbackIndex, ...active } = await shelve(folder, await tinyModel('2'))
      await files.write(() => ({ active, previous: 'factory' }))
      fill(disk)
      const factory = { dir: '/factory', manifestSha256: null }
      const slots = new ModelSlots({ files, store: await ModelStore.open(folder), factory, bootId: 'a' })
      expect(await slots.active()).toMatchObject({ source: factory, lost: active })
      expect(slots.record).toMatchObject({ active, previous: 'factory' })
      execFileSync('rm', ['-r', join(disk, 'filler')])
      expect(await slots.active()).toEqual({
        source: { dir: join(folder, 'models', active.sha256), manifestSha256: active.sha256 },
      })
    })

    test('row 50: read-only: nothing changes, and that is said; later it is written again', async () => {
      const disk = await smallDisk()
      const { files } = await RecordFiles.open(disk)
      await files.write(() => ({ floor: 1 }))
      execFileSync('mount', ['-o', 'remount,ro', disk])
      const before = await Promise.all(['record.0', 'record.1'].map((name) => readFile(join(disk, name))))
      await expect(files.write(() => ({ floor: 2 }))).rejects.toMatchObject({
        reason: 'store_failed',
        message: expect.stringMatching(/read-only/),
      })
      expect(files.record).toMatchObject({ floor: 1 })
      expect(await Promise.all(['record.0', 'record.1'].map((name) => readFile(join(disk, name))))).toEqual(before)
      // Also a start finds it.
      expect((await RecordFiles.open(disk)).files.record).toMatchObject({ floor: 1 })
      execFileSync('mount', ['-o', 'remount,rw', disk])
      await files.write(() => ({ floor: 3 }))
      expect((await RecordFiles.open(disk)).files.record).toMatchObject({ floor: 3 })
    })
  },
)
