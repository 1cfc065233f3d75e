// Runs a model over photos and writes its raw outputs; the same file judges natively and, under qemu, as another CPU.
// node run.mjs MODEL.onnx PHOTOS OUT [REPEATS]: PHOTOS holds uint8 tensors one after the other, OUT gets, per photo, every
// output's float32 values in order. With REPEATS, prints the median milliseconds of one inference on one thread.
import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.ORT_MODULES ?? import.meta.dirname}/`);
const ort = require('onnxruntime-node');
const [, , model, photos, out, repeats = '0'] = process.argv;

const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 });
const shape = session.inputMetadata[0].shape;
const bytes = shape.reduce((product, side) => product * side, 1);
const pixels = new Uint8Array(bytes);
const infer = () => session.run({ [session.inputNames[0]]: new ort.Tensor('uint8', pixels, shape) });

const source = openSync(photos, 'r');
const target = openSync(out, 'w');
for (let photo = 0; photo < statSync(photos).size / bytes; photo++) {
  readSync(source, pixels, 0, bytes, photo * bytes);
  const outputs = await infer();
  for (const name of session.outputNames) {
    const { data } = outputs[name];
    writeSync(target, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
}
closeSync(target);

const times = [];
for (let run = 0; run < Number(repeats); run++) {
  const start = performance.now();
  await infer();
  times.push(performance.now() - start);
}
if (times.length > 0) console.log(times.sort((a, b) => a - b)[times.length >> 1].toFixed(2));
