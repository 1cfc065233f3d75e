import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createDecoder } from '../../src/vision/decode.ts'
import { readModelFolder } from '../../src/vision/model-folder.ts'
import { pictureGeometry, readPicture, toI420, writeJpeg } from '../../src/vision/picture.ts'
import { createPreprocessor } from '../../src/vision/preprocess.ts'
import { ModelSession } from '../../src/vision/session.ts'
import { type ColourModel, colourModel } from '../support/onnx.ts'
import { tempFolder } from '../support/temp-folder.ts'

const colours = { red: [220, 30, 40], green: [30, 200, 40], blue: [30, 40, 220] }

const variants: ColourModel[] = (['uint8', 'int8', 'float32'] as const).flatMap((type) =>
  (['NHWC', 'NCHW'] as const).flatMap((layout) =>
    (['RGB', 'BGR'] as const).flatMap((colour) =>
      (['logits', 'probabilities', 'quantized'] as const).map((output) => ({ type, layout, colour, output })),
    ),
  ),
)

test.each(variants)(
  'a classifier with $type $layout $colour input and $output tells colours apart, on real ONNX Runtime',
  async (variant) => {
    const model = await readModelFolder(await colourModel(variant))
    await using session = await ModelSession.open(model, { threads: 1 })
    const decode = createDecoder(model.manifest)
    for (const [name, rgb] of Object.entries(colours)) {
      const path = join(await tempFolder(), `${name}.jpg`)
      await writeJpeg(path, {
        width: 32,
        height: 32,
        rgb: Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => rgb[i % 3] ?? 0),
      })
      const picture = await readPicture(path, 64)
      const geometry = pictureGeometry(picture)
      createPreprocessor(geometry, model.manifest.input).write(toI420(picture, geometry), session.input)
      const finding = decode(await session.run(), 0)
      expect(finding).toMatchObject({ task: 'classification', predictions: [{ label: name }] })
      // Floats differ by about 1.5 between channels and pixels by 190, so softmax is sure in either case.
      expect(finding.task === 'classification' && finding.predictions[0]?.score).toBeGreaterThan(0.5)
    }
  },
)
