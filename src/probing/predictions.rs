use std::path::Path;

use super::LabelProbes;
use crate::Error;
use crate::files::write_atomically;

/// Columns before the predictions.
const FIXED: [&str; 2] = ["image", "label"];

/// Writes the class that each probe gave to each test image: a row per image, a column per amount
/// of labels and draw.
pub(crate) fn write_predictions(
    path: &Path,
    images: impl Iterator<Item = String>,
    labels: &[u32],
    probes: &[LabelProbes],
) -> Result<(), Error> {
    let columns: Vec<&Vec<u32>> = probes.iter().flat_map(|p| &p.predictions).collect();
    let names = probes.iter().flat_map(|probe| {
        (0..probe.predictions.len()).map(|draw| format!("{} draw {draw}", probe.labels))
    });
    let mut csv = csv::Writer::from_writer(Vec::new());
    let header = FIXED.into_iter().map(String::from).chain(names);
    let in_memory = "a writer into memory does not fail";
    csv.write_record(header).expect(in_memory);
    for (i, (image, label)) in images.zip(labels).enumerate() {
        let predictions = columns.iter().map(|column| column[i].to_string());
        csv.write_record([image, label.to_string()].into_iter().chain(predictions))
            .expect(in_memory);
    }
    write_atomically(path, &csv.into_inner().expect(in_memory))
}

/// Reads the predictions back into the probes, which say how many there are. Returns the labels.
///
/// # Errors
/// [`Error::State`] if the file is of other probes.
pub(crate) fn read_predictions(path: &Path, probes: &mut [LabelProbes]) -> Result<Vec<u32>, Error> {
    let error = |reason: String| {
        let reason = format!("{reason}; delete it, and the backbone is probed again");
        Error::state(path, reason)
    };
    let mut csv = csv::Reader::from_path(path).map_err(|e| error(e.to_string()))?;
    let draws: usize = probes.iter().map(|probe| probe.accuracies.len()).sum();
    let mut columns = vec![Vec::new(); draws];
    let mut labels = Vec::new();
    for (i, record) in csv.records().enumerate() {
        let record = record.map_err(|e| error(e.to_string()))?;
        let mut numbers = record.iter().skip(1).map(str::parse::<u32>);
        let label = numbers.next().and_then(Result::ok);
        let Some(label) = label.filter(|_| record.len() == FIXED.len() + draws) else {
            return Err(error(format!("row {} is of other probes", i + 1)));
        };
        labels.push(label);
        for (column, number) in columns.iter_mut().zip(numbers) {
            let number = number.map_err(|e| error(format!("row {}: {e}", i + 1)))?;
            column.push(number);
        }
    }
    let mut columns = columns.into_iter();
    for probe in probes {
        let count = probe.accuracies.len();
        probe.predictions = columns.by_ref().take(count).collect();
    }
    Ok(labels)
}
