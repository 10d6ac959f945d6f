//! Keys that tell states apart: sums of random-looking numbers, changed step by step.

/// Returns a 128-bit number that looks random for every different input.
pub fn scramble(tag: u64, first: i64, second: i64) -> u128 {
    let a =
        mix(tag.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ first.cast_unsigned(), 0xD1B5_4A32_D192_ED03);
    let b = mix(a ^ second.cast_unsigned().rotate_left(17), 0xA076_1D64_78BD_642F);
    let c = mix(b ^ tag, a ^ 0xE703_7ED1_A0B4_28DB);
    (u128::from(b) << 64) | u128::from(c)
}

/// Multiplies to 128 bits and folds the halves, the step of the public-domain hash wyhash.
const fn mix(a: u64, b: u64) -> u64 {
    let product = ((a ^ 0x8EBC_6AF0_9C88_C6E3) as u128) * ((b ^ 0x5899_65CC_7537_4CC3) as u128);
    #[expect(clippy::cast_possible_truncation, reason = "both halves are wanted")]
    let folded = (product as u64) ^ ((product >> 64) as u64);
    folded
}
