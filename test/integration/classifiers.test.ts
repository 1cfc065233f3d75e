import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { runSightd } from '../support/daemon.ts'

const photos = fileURLToPath(new URL('../../../shared/data/images', import.meta.url))
const imported = fileURLToPath(new URL('../../models/build/.cache/imported', import.meta.url))

/** Any breed is a dog: classes 152 to 269 of the 1001. */
const isDog = ({ class_id }: { class_id: number }) => class_id >= 152 && class_id <= 269
const isLabel = (pattern: RegExp) => (best: { label: string }) => pattern.test(best.label)

describe.each(['mobilenet-v1-025-128', 'mobilenet-v2-224'])('%s of Google, imported from TensorFlow Lite', (name) => {
  const folder = join(imported, name, '1')
  const isThere = existsSync(folder) && existsSync(photos)

  test.skipIf(!isThere)(
    'names cat, macaw, dog and hot dog first (skipped where models/build/import.sh has not made it)',
    async () => {
      const names = ['cat_720p.jpg', 'parrot.jpg', 'pets.jpg', 'hot_dog.jpg']
      const { code, stdout } = await runSightd([
        'infer',
        '--json',
        '-t',
        '0',
        '-m',
        folder,
        ...names.map((name) => join(photos, name)),
      ])
      expect(code).toBe(0)
      const best = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).predictions[0])
      const isRight = [isLabel(/\b(cat|tabby)\b/), isLabel(/macaw/), isDog, isLabel(/hot ?dog/)]
      for (const [i, check] of isRight.entries()) expect(best[i], names[i]).toSatisfy(check)
    },
  )

  test.skipIf(!isThere)(
    'says of its golden samples what it should (skipped where models/build/import.sh has not made it)',
    async () => {
      const { code, stdout } = await runSightd(['model', 'verify', folder])
      expect(code, stdout).toBe(0)
    },
  )
})
