//! Timelines: lanes with spans of time, and moments.

use plotters::prelude::*;

use crate::axis::{Axis, Mark, number};
use crate::error::ChartError;
use crate::style::{BESIDE, FONT, GRID, INK, MARGIN, SERIES, TEXT_SIZE, TITLE_SIZE, WIDTH};

/// Height of a lane, pixels.
const LANE: u32 = 64;
/// Height of everything else.
const FRAME: u32 = 110;
/// Width of the names of lanes.
const NAMES: u32 = 190;
/// How much of a lane a span fills.
const FILLED: f64 = 0.42;

/// A timeline.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// What it shows.
    pub title: String,
    /// Time, from left to right.
    pub time: Axis,
    /// Its lanes, from top to bottom.
    pub lanes: Vec<Lane>,
}

/// A row of a timeline.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Whose it is.
    pub name: String,
    /// Its spans, which do not overlap.
    pub spans: Vec<Span>,
    /// Moments.
    pub marks: Vec<Mark>,
}

/// A stretch of time.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its beginning.
    pub from: f64,
    /// Its end.
    pub to: f64,
    /// What it is.
    pub label: String,
    /// Its colour.
    pub tone: Tone,
}

/// What a colour stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Everything is well.
    Good,
    /// It goes on for now.
    Doubtful,
    /// It does not work.
    Bad,
}

impl Tone {
    const fn colour(self) -> RGBColor {
        match self {
            Self::Good => SERIES[2],
            Self::Doubtful => SERIES[4],
            Self::Bad => SERIES[1],
        }
    }
}

impl Timeline {
    /// The timeline as an SVG document.
    ///
    /// # Errors
    /// When its time has no length.
    pub fn svg(&self) -> Result<String, ChartError> {
        self.time.check()?;
        let lanes = u32::try_from(self.lanes.len()).unwrap_or(u32::MAX);
        let size = (WIDTH, lanes.saturating_mul(LANE).saturating_add(FRAME));
        let mut svg = String::new();
        self.draw(SVGBackend::with_string(&mut svg, size))
            .map_err(|error| ChartError::Drawing(error.to_string()))?;
        Ok(svg)
    }

    fn draw(
        &self,
        backend: SVGBackend<'_>,
    ) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'_> as DrawingBackend>::ErrorType>> {
        let area = backend.into_drawing_area();
        area.fill(&WHITE)?;
        let text = (FONT, TEXT_SIZE, &INK).into_text_style(&area);
        let lanes = self.lanes.len() as f64;
        let mut chart = ChartBuilder::on(&area)
            .caption(&self.title, (FONT, TITLE_SIZE, &INK))
            .margin(MARGIN)
            .x_label_area_size(44)
            .y_label_area_size(NAMES)
            .build_cartesian_2d(self.time.from..self.time.to, 0.0..lanes.max(1.0))?;
        chart
            .configure_mesh()
            .x_desc(&self.time.label)
            .x_labels(14)
            .x_label_formatter(&|value| number(*value))
            .y_labels(0)
            .disable_y_mesh()
            .label_style(text.clone())
            .axis_style(INK)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .draw()?;
        let end = (FONT, TEXT_SIZE, &INK).into_text_style(&area).pos(
            plotters::style::text_anchor::Pos::new(
                plotters::style::text_anchor::HPos::Right,
                plotters::style::text_anchor::VPos::Center,
            ),
        );
        for (at, lane) in self.lanes.iter().enumerate() {
            let bottom = lanes - 1.0 - at as f64;
            let (low, high) = (bottom + 0.12, bottom + 0.12 + FILLED);
            for span in &lane.spans {
                let corners = [(span.from, low), (span.to, high)];
                chart.draw_series([Rectangle::new(
                    corners,
                    span.tone.colour().mix(0.75).filled(),
                )])?;
                let place = (span.from, f64::midpoint(low, high) + 0.1);
                let label = Text::new(span.label.clone(), BESIDE, text.clone());
                chart.draw_series([EmptyElement::at(place) + label])?;
            }
            for mark in &lane.marks {
                let line = [(mark.at, low), (mark.at, bottom + 0.78)];
                chart.draw_series([PathElement::new(line, INK.stroke_width(2))])?;
                let place = (mark.at, bottom + 0.92);
                let label = Text::new(mark.label.clone(), BESIDE, text.clone());
                chart.draw_series([EmptyElement::at(place) + label])?;
            }
            let (x, y) = chart.backend_coord(&(self.time.from, f64::midpoint(low, high)));
            area.draw(&Text::new(lane.name.clone(), (x - 10, y), end.clone()))?;
        }
        area.present()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline() -> Timeline {
        Timeline {
            title: "A token's life".into(),
            time: Axis::to("minutes", 80.0),
            lanes: ["MQTT", "AMQP"]
                .map(|name| Lane {
                    name: name.into(),
                    spans: vec![
                        Span {
                            from: 0.0,
                            to: 60.0,
                            label: "connected".into(),
                            tone: Tone::Good,
                        },
                        Span {
                            from: 60.0,
                            to: 70.0,
                            label: "grace".into(),
                            tone: Tone::Doubtful,
                        },
                        Span {
                            from: 70.0,
                            to: 80.0,
                            label: "away".into(),
                            tone: Tone::Bad,
                        },
                    ],
                    marks: vec![Mark {
                        at: 70.0,
                        label: "401003".into(),
                    }],
                })
                .into(),
        }
    }

    #[test]
    fn a_timeline_has_all_its_texts_and_is_the_same_each_time() {
        let svg = timeline().svg().unwrap();
        for text in ["A token", "MQTT", "AMQP", "grace", "401003", "minutes"] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(svg, timeline().svg().unwrap());
    }

    #[test]
    fn without_time_there_is_no_picture() {
        let mut chart = timeline();
        chart.time.to = 0.0;
        assert_eq!(chart.svg(), Err(ChartError::NoLength("minutes".into())));
    }
}
