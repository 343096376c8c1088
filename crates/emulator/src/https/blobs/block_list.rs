//! Lists of blocks that are to become a blob.

use axum::http::StatusCode;
use drawspan_hub::text;
use drawspan_hub_model::limits::{BLOB_BLOCKS_MAX, BLOCK_ID_BYTES};
use quick_xml::Reader;
use quick_xml::events::Event;

use super::refusal::BlobRefusal;

/// The ids of a list, in its order: `<BlockList><Latest>{id}</Latest>…</BlockList>`.
pub(super) fn ids(xml: &[u8]) -> Result<Vec<String>, BlobRefusal> {
    let xml = std::str::from_utf8(text::without_mark(xml)).map_err(|_| malformed())?;
    let mut reader = Reader::from_str(xml);
    let (mut ids, mut depth) = (Vec::new(), 0_u32);
    let mut id: Option<String> = None;
    loop {
        match reader.read_event().map_err(|_| malformed())? {
            Event::Start(start) => {
                match (depth, start.name().as_ref()) {
                    (0, "BlockList") => {}
                    (1, "Latest" | "Uncommitted") => id = Some(String::new()),
                    (1, "Committed") => {
                        let what = "blocks that are committed already, in a list of blocks";
                        return Err(BlobRefusal::unsupported(what));
                    }
                    _ => return Err(malformed()),
                }
                depth += 1;
            }
            Event::Empty(empty) if depth == 0 && empty.name().as_ref() == "BlockList" => {
                return Ok(ids);
            }
            Event::Text(text) => match &mut id {
                Some(id) => id.push_str(&text),
                None if text.trim().is_empty() => {}
                None => return Err(malformed()),
            },
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                if let Some(id) = id.take() {
                    // Longer than any in base64.
                    if ids.len() >= BLOB_BLOCKS_MAX || id.len() > BLOCK_ID_BYTES * 2 {
                        return Err(malformed());
                    }
                    ids.push(id.trim().to_owned());
                }
                if depth == 0 {
                    return Ok(ids);
                }
            }
            Event::Decl(_) | Event::Comment(_) => {}
            _ => return Err(malformed()),
        }
    }
}

fn malformed() -> BlobRefusal {
    let text = "The XML is not a list of at most 50,000 blocks.";
    BlobRefusal::new(StatusCode::BAD_REQUEST, "InvalidXmlDocument", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_as_clients_write_them() {
        let node = br#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><BlockList><Latest>QUFB</Latest><Latest>QUFC</Latest></BlockList>"#;
        assert_eq!(ids(node).unwrap(), ["QUFB", "QUFC"]);
        let c = b"\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<BlockList>\r\n<Latest>QUFB</Latest>\r\n</BlockList>\r\n";
        assert_eq!(ids(c).unwrap(), ["QUFB"]);
        let other = b"<BlockList><Uncommitted>QQ==</Uncommitted><!-- --></BlockList>";
        assert_eq!(ids(other).unwrap(), ["QQ=="]);
        for empty in ["<BlockList/>", "<BlockList></BlockList>"] {
            assert_eq!(ids(empty.as_bytes()).unwrap(), Vec::<String>::new());
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!(
            "<BlockList><Latest>{}</Latest></BlockList>",
            "A".repeat(200)
        );
        let many = format!(
            "<BlockList>{}</BlockList>",
            "<Latest>A</Latest>".repeat(50_001)
        );
        for text in [
            "",
            "{}",
            "<BlockList>",
            "<BlockList><Latest>A",
            "<BlockList>text</BlockList>",
            "<BlockList><Other>A</Other></BlockList>",
            "<BlockList><Latest><Latest>A</Latest></Latest></BlockList>",
            "<BlockList><Latest>A</Uncommitted></BlockList>",
            "<BlockList><Committed>A</Committed></BlockList>",
            "<!DOCTYPE x [<!ENTITY a \"b\">]><BlockList><Latest>&a;</Latest></BlockList>",
            "<BlockList><Latest>&a;</Latest></BlockList>",
            &long,
            &many,
        ] {
            assert!(ids(text.as_bytes()).is_err(), "{text:.80}");
        }
    }
}
