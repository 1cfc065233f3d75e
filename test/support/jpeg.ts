import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type RgbPicture, readPicture } from '../../src/vision/picture.ts'
import { tempFolder } from './temp-folder.ts'

/** Reads a JPEG that came as bytes, or as text in base64. */
export async function readJpeg(jpeg: Buffer | string): Promise<RgbPicture> {
  const path = join(await tempFolder(), 'picture.jpg')
  await writeFile(path, typeof jpeg === 'string' ? Buffer.from(jpeg, 'base64') : jpeg)
  return readPicture(path, 10_000)
}
