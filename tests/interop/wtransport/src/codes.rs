// SPDX-License-Identifier: MIT
//! wtransport hands stream codes through as QUIC has them; WebTransport's are a range of
//! those (draft-ietf-webtrans-http3, section 4.4).

use wtransport::VarInt;

const FIRST: u64 = 0x52e4_a40f_a8db;

pub fn to_h3(code: u32) -> VarInt {
    let code = u64::from(code);
    VarInt::try_from(FIRST + code + code / 0x1e).expect("well below 2^62")
}

pub fn from_h3(code: VarInt) -> Option<u32> {
    let code = code.into_inner();
    let shifted = code.checked_sub(FIRST)?;
    if (code - 0x21) % 0x1f == 0 {
        return None;
    }
    u32::try_from(shifted - shifted / 0x1f).ok()
}
