//! Verification as JUnit XML: a suite for each backend and scalar type, a test case for each check.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::Verification;
use crate::text::{visible, visible_lines};
use crate::verify::{Outcome, Status};

impl Verification {
    /// The whole as JUnit XML. Characters that XML forbids are escaped as in text.
    ///
    /// # Errors
    /// Where a text cannot be written as XML.
    pub fn to_junit(&self) -> Result<String, quick_junit::SerializeError> {
        let mut report = Report::new("layerbench verify");
        let mut suites: Vec<(String, TestSuite)> = Vec::new();
        for outcome in &self.outcomes {
            let name = format!("{} {}", visible(&outcome.backend), outcome.scalar);
            let place = suites.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
                suites.push((name.clone(), TestSuite::new(name)));
                suites.len() - 1
            });
            suites[place].1.add_test_case(self.test_case(outcome));
        }
        report.add_test_suites(suites.into_iter().map(|(_, suite)| suite));
        report.to_string()
    }

    fn test_case(&self, outcome: &Outcome) -> TestCase {
        let status = match &outcome.status {
            Status::Passed => TestCaseStatus::success(),
            Status::Failed(_) => {
                let mut failure = TestCaseStatus::non_success(NonSuccessKind::Failure);
                failure.set_message(visible(outcome.detail()));
                let dispute = self.disputes.iter().find(|dispute| dispute.case == outcome.check);
                let dispute = dispute.map_or(String::new(), |dispute| format!("\n{dispute}"));
                failure.set_description(visible_lines(format!("repeat: {}{dispute}", self.command(outcome))));
                failure
            }
            other => {
                let mut skipped = TestCaseStatus::skipped();
                skipped.set_message(format!("{other}: {}", visible(outcome.detail())));
                skipped
            }
        };
        let mut case = TestCase::new(visible(&outcome.check), status);
        case.set_classname(format!("{}.{}", visible(&outcome.backend), outcome.scalar));
        case.set_assertions(outcome.executed);
        case
    }
}
