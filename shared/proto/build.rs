//! Generates messages, clients and servers from `proto/` with protox, so that nobody needs protoc.

use std::error::Error;
use std::path::{Path, PathBuf};

use prost::Message;
use tonic_prost_build::FileDescriptorSet;

fn main() -> Result<(), Box<dyn Error>> {
    // Where the crate is now: a build folder may have this program from another clone.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?;
    let root = Path::new(&here).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();

    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    // prost's own descriptor types drop the options that they do not know; these bytes keep them.
    let descriptors = compile(&root, &files, false)?;
    let commented = FileDescriptorSet::decode(&*compile(&root, &files, true)?)?;
    std::fs::write(out.join("documented.bin"), documented(&descriptors, &commented)?)?;
    let set = FileDescriptorSet::decode(&*descriptors)?;
    std::fs::write(out.join("descriptor.bin"), descriptors)?;

    tonic_prost_build::configure()
        .bytes(".harombe")
        .btree_map(".harombe")
        .include_file("packages.rs")
        .compile_fds(set)?;
    Ok(())
}

fn compile(root: &Path, files: &[PathBuf], source_info: bool) -> Result<Vec<u8>, protox::Error> {
    let mut compiler = protox::Compiler::new([root])?;
    compiler.include_imports(true).include_source_info(source_info);
    for file in files {
        compiler.open_file(file)?;
    }
    Ok(compiler.encode_file_descriptor_set())
}

/// A set of files whose bytes stay as they are.
#[derive(Message)]
struct Files {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}

/// The source information of a file alone: put behind the bytes of a file without any, it is that file's.
#[derive(Message)]
struct Info {
    #[prost(message, optional, tag = "9")]
    source_code_info: Option<prost_types::SourceCodeInfo>,
}

/// The descriptors with the comments above things in our own files, and nothing else of where things stand. Both sets
/// come from the same files in the same order.
fn documented(descriptors: &[u8], commented: &FileDescriptorSet) -> Result<Vec<u8>, prost::DecodeError> {
    let mut files = Files::decode(descriptors)?;
    for (bytes, file) in files.file.iter_mut().zip(&commented.file) {
        if !file.name().starts_with("harombe/") {
            continue;
        }
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let comments = locations
            .filter(|location| location.leading_comments.is_some())
            .map(|location| prost_types::source_code_info::Location {
                path: location.path.clone(),
                leading_comments: location.leading_comments.clone(),
                ..Default::default()
            });
        let info = Info {
            source_code_info: Some(prost_types::SourceCodeInfo {
                location: comments.collect(),
            }),
        };
        bytes.extend(info.encode_to_vec());
    }
    Ok(files.encode_to_vec())
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ext| ext == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
