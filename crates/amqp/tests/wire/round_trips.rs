//! Every written value is read back unchanged.

use bytes::{Bytes, BytesMut};
use drawspan_amqp::codec::{Reader, decode_value, encode_value};
use drawspan_amqp::frame::{
    decode_performative, decode_sasl, encode_performative, encode_sasl, split_frame,
};
use drawspan_amqp::message::{Message, sections};
use proptest::prelude::*;

use crate::strategies;

proptest! {
    #[test]
    fn values(value in strategies::value()) {
        let mut out = BytesMut::new();
        encode_value(&value, &mut out);
        let encoded = out.freeze();
        prop_assert_eq!(decode_value(&encoded), Ok(value));

        let mut reader = Reader::new(&encoded);
        reader.skip().unwrap();
        prop_assert_eq!(reader.remaining(), 0);
    }

    #[test]
    fn a_value_cut_anywhere_is_an_error(value in strategies::value(), part in 0.0..1.0) {
        let mut out = BytesMut::new();
        encode_value(&value, &mut out);
        out.truncate((out.len() as f64 * part) as usize);
        prop_assert!(decode_value(&out.freeze()).is_err());
    }

    #[test]
    fn performatives(performative in strategies::performative(), channel: u16, before in "[a-z]{0,9}") {
        // Frames are appended to what waits already.
        let mut out = BytesMut::from(before.as_bytes());
        encode_performative(&mut out, channel, &performative);
        prop_assert_eq!(&out.split_to(before.len())[..], before.as_bytes());
        let frame = split_frame(&mut out, u32::MAX).unwrap().unwrap();
        prop_assert!(out.is_empty());
        prop_assert_eq!(frame.channel, channel);
        prop_assert_eq!(decode_performative(frame.body), Ok(Some(performative)));
    }

    #[test]
    fn sasl_frames(sasl in strategies::sasl()) {
        let mut out = BytesMut::new();
        encode_sasl(&mut out, &sasl);
        prop_assert_eq!(decode_sasl(split_frame(&mut out, u32::MAX).unwrap().unwrap().body), Ok(sasl));
    }

    #[test]
    fn messages(message in strategies::message()) {
        let encoded = message.to_bytes();
        let raw: Vec<Bytes> = sections(&encoded).map(|section| section.unwrap().raw).collect();
        prop_assert_eq!(&raw.concat()[..], &encoded[..]);
        prop_assert_eq!(Message::decode(&encoded), Ok(message));
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        let _ = decode_value(&bytes);
        let _ = decode_performative(bytes.clone());
        let _ = decode_sasl(bytes.clone());
        let _ = Message::decode(&bytes);
        let _ = split_frame(&mut BytesMut::from(&bytes[..]), 65_536);
    }
}
