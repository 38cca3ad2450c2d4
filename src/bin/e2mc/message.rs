//! Error messages with the names of command-line options.

use std::process::ExitCode;

use clap::Command;
use e2mc::Error;
use e2mc::methods::MethodError;

/// The message of an error. Fields of the plan become the options that set them.
pub(crate) fn of(error: &Error, command: &Command) -> String {
    let message = error.to_string();
    match error {
        Error::Stopped { folder } => {
            let (name, folder) = (command.get_name(), folder.display());
            match command
                .get_arguments()
                .any(|argument| argument.get_id() == "resume")
            {
                true => format!("{message}; resume with: e2mc {name} --resume {folder}"),
                false => format!("{message}; resume with the same command and --output {folder}"),
            }
        }
        Error::Checkpoint(_) => message.replace("set allow_unused", "give --allow-unused"),
        Error::Data(_) | Error::Io { .. } => message,
        _ => command.get_arguments().fold(message, |message, argument| {
            let Some(option) = argument.get_long() else {
                return message;
            };
            let field = argument.get_id().as_str();
            // Only at the start it is surely a field. Elsewhere a short name may be an ordinary
            // word.
            match message.strip_prefix(field) {
                Some(rest) if rest.starts_with(" is ") => format!("--{option}{rest}"),
                _ if field.contains('_') => message.replace(field, &format!("--{option}")),
                _ => message,
            }
        }),
    }
}

/// 2 for a wrong option, as in clap; 1 for all other errors.
pub(crate) fn exit_code(error: &Error) -> ExitCode {
    match error {
        Error::InvalidOption { .. } | Error::Setting { .. } | Error::Plan { .. } => {
            ExitCode::from(2)
        }
        Error::Method(MethodError::Device { .. }) => ExitCode::FAILURE,
        Error::Method(_) => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    }
}
