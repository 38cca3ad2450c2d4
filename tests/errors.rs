//! A program that shows an error and all its sources, as `anyhow` does, prints each cause once.

use std::io;
use std::path::PathBuf;

use e2mc::Error;
use e2mc::data::DataError;
use e2mc::eval::EvalError;
use e2mc::methods::MethodError;
use e2mc::resnet::CheckpointError;

/// The message of an error, and those of its sources.
fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let mut messages = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        messages.push(error.to_string());
        source = error.source();
    }
    messages
}

fn cause() -> io::Error {
    io::Error::other("the disk has a scratch")
}

#[test]
fn a_cause_is_printed_once() {
    let path = || PathBuf::from("some/file");
    let checkpoint = || CheckpointError::Read {
        path: path(),
        cause: cause(),
    };
    let errors: Vec<Error> = vec![
        Error::Io {
            path: path(),
            action: "read",
            cause: cause(),
        },
        DataError::Read {
            path: path(),
            cause: cause(),
        }
        .into(),
        DataError::Write {
            path: path(),
            cause: cause(),
        }
        .into(),
        checkpoint().into(),
        MethodError::from(checkpoint()).into(),
        EvalError::Read {
            path: "some/file".into(),
            reason: cause().to_string(),
        }
        .into(),
    ];
    for error in errors {
        let printed = chain(&error).join(": ");
        assert_eq!(printed.matches("scratch").count(), 1, "{printed}");
        assert_eq!(printed.matches("some/file").count(), 1, "{printed}");
    }
}

#[test]
fn causes_of_real_failures_are_printed_once() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let errors = [
        e2mc::resnet::Checkpoint::open(&missing)
            .map(drop)
            .map_err(Error::from),
        e2mc::Plan::read(&missing).map(drop),
        e2mc::Predictions::read(&missing).map(drop),
    ];
    for error in errors {
        let messages = chain(&error.unwrap_err());
        let printed = messages.join(": ");
        assert_eq!(printed.matches("No such file").count(), 1, "{printed}");
    }
}
