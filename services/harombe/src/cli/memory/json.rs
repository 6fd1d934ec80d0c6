//! Memories as JSON: the same form that REST has.

use harombe_proto::memory::v1::Memory;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};

use super::super::Error;

pub(super) struct MemoryJson(MessageDescriptor);

impl MemoryJson {
    pub(super) fn new() -> Result<Self, Error> {
        let pool = DescriptorPool::decode(harombe_proto::DESCRIPTORS);
        let found = pool
            .ok()
            .and_then(|pool| pool.get_message_by_name("harombe.memory.v1.Memory"));
        found
            .map(Self)
            .ok_or_else(|| Error::Usage("this program does not know what a memory is".to_owned()))
    }

    pub(super) fn write(&self, memory: &Memory) -> Result<String, Error> {
        let no_json = || Error::Usage(format!("memory {} has no JSON", memory.memory_id));
        let mut message = DynamicMessage::new(self.0.clone());
        message.transcode_from(memory).map_err(|_| no_json())?;
        let mut out = Vec::new();
        let mut serializer = serde_json::Serializer::new(&mut out);
        let options = SerializeOptions::new()
            .use_proto_field_name(true)
            .skip_default_fields(false);
        message
            .serialize_with_options(&mut serializer, &options)
            .map_err(|_| no_json())?;
        String::from_utf8(out).map_err(|_| no_json())
    }

    /// A memory from a line; else what is wrong with it.
    pub(super) fn read(&self, line: &[u8]) -> Result<Memory, String> {
        let mut deserializer = serde_json::Deserializer::from_slice(line);
        let message = DynamicMessage::deserialize(self.0.clone(), &mut deserializer);
        let message = message.and_then(|message| deserializer.end().map(|()| message));
        let message = message.map_err(|error| error.to_string())?;
        message.transcode_to().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use harombe_proto::memory::v1::Provenance;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let json = MemoryJson::new().unwrap();
        let memory = Memory {
            memory_id: "0192f3a1-7c4d-7000-8000-000000000000".to_owned(),
            text: "two\nlines \u{1b}".to_owned(),
            importance: 0.25,
            provenance: Some(Provenance {
                ordinal: 3,
                audit_index: Some(u64::MAX),
                ..Provenance::default()
            }),
            ..Memory::default()
        };
        let line = json.write(&memory).unwrap();
        assert!(!line.contains(['\n', '\u{1b}']), "{line}");
        assert_eq!(json.read(line.as_bytes()).unwrap(), memory);
    }

    #[test]
    fn what_is_no_memory_is_told() {
        let json = MemoryJson::new().unwrap();
        for bad in ["", "[]", "{\"nothing\": 1}", "{} {}", "{\"text\": 1}"] {
            assert!(json.read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
