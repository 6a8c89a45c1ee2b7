// MD5 of a few bytes: S3's headers name a customer key by it. It protects nothing; browsers do not bring it.
// @ts-check

const SHIFTS = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
const SINES = Array.from({ length: 64 }, (_, n) => Math.floor(Math.abs(Math.sin(n + 1)) * 2 ** 32) | 0);

/** @param {Uint8Array} bytes @returns {Uint8Array} 16 bytes (RFC 1321) */
export function md5(bytes) {
  const padded = new Uint8Array(((bytes.length + 8) >> 6) * 64 + 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, bytes.length * 8, true);
  const state = [0x67452301, 0xefcdab89 | 0, 0x98badcfe | 0, 0x10325476];
  for (let block = 0; block < padded.length; block += 64) round(state, (n) => view.getInt32(block + 4 * n, true));
  const digest = new DataView(new ArrayBuffer(16));
  state.forEach((word, n) => digest.setInt32(4 * n, word, true));
  return new Uint8Array(digest.buffer);
}

function round(state, word) {
  let [a, b, c, d] = state;
  for (let n = 0; n < 64; n++) {
    const turn = n >> 4;
    const mixed = [(b & c) | (~b & d), (d & b) | (~d & c), b ^ c ^ d, c ^ (b | ~d)][turn];
    const index = [n, 5 * n + 1, 3 * n + 5, 7 * n][turn] % 16;
    const sum = (a + mixed + SINES[n] + word(index)) | 0, by = SHIFTS[turn][n % 4];
    [a, d, c, b] = [d, c, b, (b + ((sum << by) | (sum >>> (32 - by)))) | 0];
  }
  state.forEach((old, n) => { state[n] = (old + [a, b, c, d][n]) | 0; });
}
