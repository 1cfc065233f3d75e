import { join } from 'node:path'
import { RecordFiles } from '../../src/ota/update-record.ts'
import { tempFolder } from './temp-folder.ts'
import { sha256Of } from './tiny-model.ts'

/** The record of updates on a disk. */

export const pathsIn = (folder: string) => [join(folder, 'record.0'), join(folder, 'record.1')]

/** The record as the next start finds it. */
export async function reopened(folder: string) {
  const { files, isLost } = await RecordFiles.open(folder)
  return { record: files.record, isLost, files }
}

/** A folder whose record was written so often: `floor` counts the writes. */
export async function written(times: number) {
  const folder = await tempFolder()
  const { files } = await RecordFiles.open(folder)
  for (let i = 0; i < times; i++) await files.write(({ floor }) => ({ floor: floor + 1 }))
  return { folder, files }
}

/** A record's file, as another program would write it. */
export function sealed(json: object): Buffer {
  const text = Buffer.alloc(4096 - 64, ' ')
  text.write(JSON.stringify(json))
  return Buffer.concat([Buffer.from(sha256Of(text)), text])
}
