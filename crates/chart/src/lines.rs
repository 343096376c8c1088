//! Lines over an axis.

use plotters::prelude::*;

use crate::axis::{Axis, Mark, number};
use crate::error::ChartError;
use crate::style::{BESIDE, FONT, GRID, HEIGHT, INK, MARGIN, SERIES, TEXT_SIZE, TITLE_SIZE, WIDTH};

/// Space for the labels of the axes, pixels.
const LABELS: (u32, u32) = (48, 72);
/// Lines of a grid.
const GRID_LINES: usize = 10;

/// A chart of lines.
#[derive(Clone, Debug)]
pub struct Lines {
    /// What it shows.
    pub title: String,
    /// The axis from left to right.
    pub x: Axis,
    /// The axis from bottom to top.
    pub y: Axis,
    /// What is drawn.
    pub series: Vec<Series>,
    /// Moments, drawn as vertical lines.
    pub marks: Vec<Mark>,
}

/// A line.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it is.
    pub label: String,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

impl Lines {
    /// The chart as an SVG document.
    ///
    /// # Errors
    /// When an axis has no length.
    pub fn svg(&self) -> Result<String, ChartError> {
        self.x.check()?;
        self.y.check()?;
        let mut svg = String::new();
        self.draw(SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)))
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
        let mut chart = ChartBuilder::on(&area)
            .caption(&self.title, (FONT, TITLE_SIZE, &INK))
            .margin(MARGIN)
            .x_label_area_size(LABELS.0)
            .y_label_area_size(LABELS.1)
            .build_cartesian_2d(self.x.from..self.x.to, self.y.from..self.y.to)?;
        chart
            .configure_mesh()
            .x_desc(&self.x.label)
            .y_desc(&self.y.label)
            .x_labels(GRID_LINES)
            .y_labels(GRID_LINES / 2)
            .x_label_formatter(&|value| number(*value))
            .y_label_formatter(&|value| number(*value))
            .label_style(text.clone())
            .axis_style(INK)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .draw()?;
        for (series, colour) in self.series.iter().zip(SERIES.iter().cycle()) {
            let line = LineSeries::new(series.points.iter().copied(), colour.stroke_width(2));
            chart
                .draw_series(line)?
                .label(&series.label)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2))
                });
        }
        for mark in &self.marks {
            let line = [(mark.at, self.y.from), (mark.at, self.y.to)];
            chart.draw_series([PathElement::new(line, INK.mix(0.5))])?;
            let place = (mark.at, self.y.to);
            let label = Text::new(mark.label.clone(), BESIDE, text.clone());
            chart.draw_series([EmptyElement::at(place) + label])?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.9))
            .border_style(GRID)
            .label_font(text)
            .draw()?;
        area.present()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Lines {
        Lines {
            title: "Sends & refusals".into(),
            x: Axis::to("seconds", 100.0),
            y: Axis::to("per second", 200.0),
            series: vec![Series {
                label: "<sent>".into(),
                points: vec![(0.0, 0.0), (50.0, 200.0), (100.0, 100.0)],
            }],
            marks: vec![Mark {
                at: 60.0,
                label: "queue full".into(),
            }],
        }
    }

    #[test]
    fn a_chart_has_all_its_texts_and_is_the_same_each_time() {
        let svg = lines().svg().unwrap();
        for text in [
            "Sends &amp; refusals",
            "per second",
            "&lt;sent&gt;",
            "queue full",
            "<polyline",
        ] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(svg, lines().svg().unwrap());
    }

    #[test]
    fn an_axis_without_length_is_refused() {
        for to in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let mut chart = lines();
            chart.x.to = to;
            assert_eq!(chart.svg(), Err(ChartError::NoLength("seconds".into())));
        }
    }
}
