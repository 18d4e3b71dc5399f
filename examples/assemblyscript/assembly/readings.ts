// Smooths readings: prints the mean of the last three at each, and on standard error what is no number
// or above the limit in the environment variable LIMIT.
//
//   readings NUMBER...

const WINDOW = 3;

function mean(values: StaticArray<f64>, count: i32): f64 {
  let sum: f64 = 0;
  for (let i = 0; i < count; i++) sum += values[i];
  return sum / count;
}

// With one decimal place.
function rounded(value: f64): string {
  const tenths = i64(Math.round(Math.abs(value) * 10));
  const sign = value < 0 && tenths > 0 ? "-" : "";
  return `${sign}${tenths / 10}.${tenths % 10}`;
}

function warn(text: string): void {
  process.stderr.write(text + "\n");
}

const limit = process.env.has("LIMIT") ? parseFloat(process.env.get("LIMIT")) : f64.MAX_VALUE;
const readings = process.argv.slice(1);
const last = new StaticArray<f64>(WINDOW);
let seen = 0;

for (let i = 0; i < readings.length; i++) {
  const value = parseFloat(readings[i]);
  if (isNaN(value)) {
    warn(`'${readings[i]}' is no number`);
    continue;
  }
  last[seen % WINDOW] = value;
  seen++;
  console.log(`mean ${rounded(mean(last, min(seen, WINDOW)))}`);
  if (value > limit) warn(`${rounded(value)} is above ${rounded(limit)}`);
}
